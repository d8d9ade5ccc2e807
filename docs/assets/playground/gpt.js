// The GPT explorer: a small language model, its tokens, heads, layers and choices.
"use strict";

(() => {
  const { h, select, slider, number } = LiveUI;
  const { softmax, ranked, probabilities, draw } = LiveSampling;
  const { LONGEST, READ, EXAMPLES, start, restore, chance } = LiveExplorer;
  const { table } = LivePictures;
  const SHOWN = 8;
  const FULL = " The context is full.";
  /** @type {InstanceType<typeof LiveModel.Model>[]} the one that heads are taken from, and a whole one */
  const models = [];

  /** @param {number} which */
  function run(which) {
    const file = LiveWeights.get("topics-gpt");
    if (!file) throw new Error("the model isn't there");
    models[which] ??= new LiveModel.Model(file);
    return new LiveGPT.Run(models[which]);
  }

  const percent = (/** @type {number} */ x) => `${number(100 * x, 1)} %`;

  LiveUI.define("gpt", (saved) => {
    const file = /** @type {ModelFile} */ (LiveWeights.get("topics-gpt"));
    const bpe = new LiveBPE.BPE(file);
    const seen = run(0);
    const { config } = seen.model;
    const end = file.specials?.["<eos>"] ?? 0;
    let state = restore(saved, config, bpe.size);
    /** @type {InstanceType<typeof LiveGPT.Run> | null} the model with all its heads, to compare */
    let intact = null;

    /** @param {number} id what is to be seen of a token: spaces as dots, bytes that are no text */
    function shown(id) {
      const text = bpe.decode([id]);
      if (id === end) return "<eos>";
      if (text.includes("\ufffd")) return bpe.bytes[id].map((b) => `<${b.toString(16)}>`).join("");
      return JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll(" ", "·");
    }

    const problem = h("p", { class: "live-problem", role: "alert" });
    const text = h("textarea", {
      rows: 2,
      maxlength: LONGEST,
      spellcheck: "false",
      oninput: typed,
    });
    const examples = select("Example ", ["your own", ...EXAMPLES], (i) => {
      if (i) set({ text: EXAMPLES[i - 1], added: [] });
    });
    const tokens = h("ol", { class: "live-chips", "aria-label": "Tokens" });
    const cache = h("p", { class: "live-cache" });
    const result = h("div");
    const news = h("p", { class: "live-change", role: "status" });
    const grid = { class: "live-grid live-words", tabindex: 0, role: "region" };
    const lens = h("div", { ...grid, "aria-label": "Layers" });
    const map = LiveHeads.viewer();
    const reads = h("p");
    const heads = LiveHeads.overview(config.n_layers, config.n_heads, (layer, head) => {
      Object.assign(state, { layer, head });
      showHead();
    });
    heads.element.classList.add("live-few");
    const button = (/** @type {string} */ name, /** @type {() => void} */ onclick) =>
      h("button", { type: "button", onclick }, name);
    const zero = button("", toggled);
    zero.classList.add("live-switch");
    const steps = [
      button("Add the likeliest token", () => add(() => ranked(seen.logits)[0])),
      button("Draw a token", () => add(drawn)),
      button("Draw ten", () => add(drawn, 10)),
      button("Take one back", () => set({ added: state.added.slice(0, -1) })),
    ];
    const rule = (/** @type {Partial<ExplorerState>} */ change) => {
      Object.assign(state, change);
      showNext();
    };
    const rules = {
      temperature: slider(
        "Temperature ",
        { min: 0.1, max: 2, step: 0.1, value: state.temperature },
        (temperature) => rule({ temperature }),
        (x) => number(x, 1),
      ),
      k: slider(
        "Top-k ",
        { min: 0, max: 50, value: state.k },
        (k) => rule({ k }),
        (k) => (k ? `${k}` : "all"),
      ),
      p: slider(
        "Top-p ",
        { min: 0.05, max: 1, step: 0.05, value: state.p },
        (p) => rule({ p }),
        (p) => (p < 1 ? number(p) : "all"),
      ),
      least: slider(
        "Min-p ",
        { min: 0, max: 0.5, step: 0.05, value: state.least },
        (least) => rule({ least }),
        (x) => (x ? number(x) : "off"),
      ),
    };
    let timer = 0;

    function typed() {
      set({ text: text.value.slice(0, LONGEST), added: [] });
    }

    /** Typing goes on while the model waits: it reads when the keys rest. */
    function set(/** @type {Partial<ExplorerState>} */ change) {
      Object.assign(state, change);
      result.setAttribute("aria-busy", "true");
      clearTimeout(timer);
      timer = window.setTimeout(read, 100);
    }

    function toggled() {
      const { layer, head, zero } = state;
      const rest = zero.filter(([l, i]) => l !== layer || i !== head);
      set({ zero: rest.length < zero.length ? rest : [...zero, [layer, head]] });
    }

    const at = () => ({ ...state, k: state.k || bpe.size });
    const drawn = () => draw(probabilities(seen.logits, at()), chance(state.draws++));

    /**
     * @param {() => number} choose
     * @param {number} [times]
     */
    function add(choose, times = 1) {
      if (result.getAttribute("aria-busy") === "true") read(); // the keys have hardly rested
      for (let i = 0; i < times && seen.ids.length < config.max_len; i++) {
        const id = choose();
        state.added = [...state.added, id];
        for (const run of [seen, intact]) run?.extend([id]);
      }
      show();
    }

    /** All anew: the text, what was added to it, the heads at zero. */
    function read() {
      clearTimeout(timer);
      if (document.activeElement !== text) text.value = state.text;
      examples.set(EXAMPLES.indexOf(state.text) + 1);
      for (const [name, { set }] of Object.entries(rules)) set(Reflect.get(state, name));
      const ids = [end, ...bpe.encode(state.text)];
      problem.textContent = ids.length > READ ? `Only the first ${READ - 1} tokens are read.` : "";
      text.setAttribute("aria-invalid", String(ids.length > READ));
      const own = ids.slice(0, READ);
      state.added = state.added.slice(0, config.max_len - own.length);
      const all = [...own, ...state.added];
      for (let layer = 0; layer < config.n_layers; layer++) {
        for (let head = 0; head < config.n_heads; head++) {
          seen.model.silence(layer, head, isZero(layer, head));
        }
      }
      seen.read(all);
      intact = state.zero.length ? run(1) : null;
      intact?.read(all);
      show();
    }

    const isZero = (/** @type {number} */ layer, /** @type {number} */ head) =>
      state.zero.some(([l, i]) => l === layer && i === head);

    function show() {
      const own = seen.ids.length - state.added.length;
      tokens.replaceChildren(
        ...seen.ids.map((id, t) => {
          const name = t < own ? `token ${id}` : `token ${id}, written by the model`;
          return h("li", { class: t < own ? "" : "live-new", title: name }, shown(id));
        }),
      );
      const size = number(seen.cacheBytes / 1024, 0);
      const full = seen.ids.length >= config.max_len;
      cache.textContent = `Cache: keys and values of ${seen.ids.length} tokens in ${config.n_layers} layers, ${size} KB.${full ? FULL : ""}`;
      steps.forEach((step, i) => {
        step.disabled = i === 3 ? !state.added.length : full;
      });
      showNext();
      showLens();
      showHead();
      result.setAttribute("aria-busy", "false");
    }

    /** The likeliest tokens, as the model has them and after the rules. */
    function showNext() {
      const plain = softmax(seen.logits);
      const kept = probabilities(seen.logits, at());
      const before = intact ? softmax(intact.logits) : null;
      const head = ["token", "", "model", "after the rules", ...(before ? ["all heads on"] : [])];
      const rows = ranked(plain)
        .slice(0, SHOWN)
        .map((id) => {
          const bar = h("span", { class: "live-bar" }, h("span", {}));
          /** @type {HTMLElement} */ (bar.firstChild).style.width = `${100 * kept[id]}%`;
          const cells = [plain[id], kept[id], ...(before ? [before[id]] : [])];
          return [shown(id), bar, ...cells.map(percent)];
        });
      const stay = kept.reduce((n, x) => n + (x > 0 ? 1 : 0), 0);
      const caption = `The next token: the ${SHOWN} likeliest. Drawn from: ${stay}.`;
      result.replaceChildren(
        h("div", { ...grid, "aria-label": "Next token" }, table(caption, head, rows)),
      );
      const [best] = ranked(kept);
      const likeliest = `Likeliest of ${stay}: “${shown(best)}”, ${percent(kept[best])}.`;
      const last = state.added.length ? `Last written: “${shown(seen.ids.at(-1) ?? end)}”. ` : "";
      const full = seen.ids.length < config.max_len ? "" : FULL;
      news.textContent = last + (before ? change(before, plain) : likeliest) + full;
    }

    /**
     * @param {Float64Array} before
     * @param {Float64Array} now
     */
    function change(before, now) {
      const [was, is] = [ranked(before)[0], ranked(now)[0]];
      const names = state.zero.map(([layer, head]) => `${layer + 1}.${head + 1}`).join(", ");
      const first = `Without ${names} (layer.head), “${shown(was)}” has ${percent(now[was])}, not ${percent(before[was])}.`;
      return was === is ? first : `${first} Likeliest now: “${shown(is)}”.`;
    }

    function showLens() {
      const winner = ranked(seen.logits)[0];
      const rows = seen.lens.map((logits, layer) => {
        const shares = softmax(logits);
        const best = ranked(shares).slice(0, 3);
        const words = best.map((id) => `${shown(id)} ${percent(shares[id])}`);
        return [
          layer ? `after layer ${layer}` : "before layer 1",
          ...words,
          percent(shares[winner]),
        ];
      });
      const head = ["", "first", "second", "third", `“${shown(winner)}”`];
      const caption = "The logit lens: what the last token would say if the model stopped there";
      lens.replaceChildren(table(caption, head, rows));
    }

    function showHead() {
      const { layer, head } = state;
      const read = {
        tokens: seen.ids.map(shown),
        hidden: [],
        layers: seen.maps(),
        causal: true,
        zero: isZero,
      };
      heads.draw(read);
      heads.mark(layer, head);
      map.show(read, layer, head);
      const n = read.tokens.length;
      const last = read.layers[layer].subarray((head * n + n - 1) * n, (head * n + n) * n);
      const most = ranked(last).slice(0, 3);
      const words = most.map((s) => `“${read.tokens[s]}” ${number(last[s])}`);
      const on = isZero(layer, head);
      reads.textContent = `There the last token, “${read.tokens[n - 1]}”, reads ${words.join(", ")}.${on ? " Nothing of it is passed on." : ""}`;
      zero.textContent = `Layer ${layer + 1}, head ${head + 1} to zero`;
      zero.setAttribute("aria-pressed", String(on));
    }

    text.value = state.text;
    read();
    const { int8, before } = file.rounding;
    const body = h(
      "div",
      {},
      h("div", { class: "live-controls" }, examples.element),
      h("label", { class: "live-wide" }, "Text ", text),
      problem,
      tokens,
      h("div", { class: "live-controls" }, ...steps),
      cache,
      h("div", { class: "live-controls" }, ...Object.values(rules).map(({ element }) => element)),
      result,
      news,
      lens,
      h("div", { class: "live-row" }, heads.element, h("div", {}, zero, map.element, reads)),
      h(
        "details",
        {},
        h("summary", {}, "Model card"),
        h("p", {}, `Rounded to int8: loss ${int8.loss} nats a token, ${before.loss} before.`),
        h("pre", { tabindex: 0, "aria-label": "Model card" }, file.card),
      ),
    );
    return {
      title: "The GPT explorer",
      about:
        "A GPT-2 of 0.88 million parameters, trained for this book on Python's help, in your page.",
      question: QUESTION,
      body,
      reset: () => {
        state = start();
        text.value = state.text;
        read();
      },
      state: () => state,
    };
  });

  const QUESTION = {
    text: "it has read “A list is a mutable sequence. A tuple is an immutable”. What does it find likeliest next?",
    choices: ["“ sequence”", "“ object”", "a line break"],
    answer: 2,
    why: "Nineteen of twenty lines of Python’s help have at most 72 characters, and it has learned that. Set head 1 of layer 3 to zero, the one shown: the line break falls from 32 % to 4 %.",
  };
})();
