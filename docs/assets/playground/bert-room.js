// What a reader does with the real BERT: type, leave words out, look at its heads.
"use strict";

/**
 * @typedef {object} BertState
 * @property {string[]} texts
 * @property {number[][]} out words of each text that are left out
 * @property {number} layer
 * @property {number} head
 */

const LiveWorkshop = (() => {
  const { h, select, number } = LiveUI;
  const LONGEST = 300;
  const TOKENS = 64;

  /** @type {BertState[]} */
  const EXAMPLES = [
    { texts: ["A dog bit the man.", "A man bit the dog."], out: [[], []], layer: 2, head: 7 },
    {
      texts: [
        "The animal didn't cross the street because it was too tired.",
        "A weary creature stayed on its side of the road.",
      ],
      out: [[], []],
      layer: 3,
      head: 1,
    },
    {
      texts: ["The film was not good.", "The film was bad."],
      out: [[], []],
      layer: 4,
      head: 9,
    },
  ];

  /**
   * @param {any} saved
   * @returns {BertState}
   */
  function restore(saved) {
    const state = structuredClone(EXAMPLES[0]);
    const whole = (/** @type {any} */ x, /** @type {number} */ end) =>
      Number.isInteger(x) && x >= 0 && x < end;
    for (const i of [0, 1]) {
      if (typeof saved?.texts?.[i] !== "string") continue;
      state.texts[i] = saved.texts[i].slice(0, LONGEST);
      const out = saved.out?.[i];
      if (Array.isArray(out)) state.out[i] = out.filter((word) => whole(word, TOKENS));
    }
    if (whole(saved?.layer, 6)) state.layer = saved.layer;
    if (whole(saved?.head, 12)) state.head = saved.head;
    return state;
  }

  /**
   * The words of a text, each with its tokens: a piece that begins with ## goes on with a word.
   *
   * @param {string[]} pieces [CLS] … [SEP]
   */
  function words(pieces) {
    /** @type {{text: string, tokens: number[]}[]} */
    const found = [];
    pieces.slice(1, -1).forEach((piece, i) => {
      const last = found.at(-1);
      if (last && piece.startsWith("##")) {
        last.text += piece.slice(2);
        last.tokens.push(i + 1);
      } else found.push({ text: piece, tokens: [i + 1] });
    });
    return found;
  }

  /**
   * @param {InstanceType<typeof LiveBert.Bert>} m
   * @param {() => BertState} current
   * @param {string} news
   * @param {() => void} drop
   */
  function open(m, current, news, drop) {
    /** @type {Map<string, Float32Array>} vectors of texts that were read */
    const known = new Map();
    const result = h("div", { "aria-live": "polite" });
    const picture = LiveHeads.viewer();
    const note = h("p", { role: "status" }, news);
    const titles = ["First sentence", "Second sentence"];
    const fields = titles.map((_, i) =>
      h("textarea", { rows: 2, maxlength: LONGEST, oninput: () => typed(i) }),
    );
    const chips = titles.map((title) =>
      h("div", {
        class: "live-chips",
        role: "group",
        "aria-label": `${title}: press a word to leave it out`,
      }),
    );
    const names = EXAMPLES.map(({ texts }) => texts.join(" / "));
    const examples = select("Example ", ["your own", ...names], (i) => {
      if (i) Object.assign(current(), structuredClone(EXAMPLES[i - 1]));
      soon(0);
    });
    const { n_layers, n_heads } = m.config;
    const heads = LiveHeads.overview(n_layers, n_heads, (layer, head) => {
      Object.assign(current(), { layer, head });
      enlarge();
    });
    const forget = h("button", { type: "button", onclick: drop }, "Forget the model");
    /** @type {Heads | undefined} */
    let read;
    let round = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;

    /** @param {number} i */
    function typed(i) {
      const state = current();
      state.texts[i] = fields[i].value.slice(0, LONGEST);
      state.out[i] = [];
      soon(150);
    }

    /** Typing goes on: the model starts when the keys rest. @param {number} pause */
    function soon(pause) {
      result.setAttribute("aria-busy", "true");
      clearTimeout(timer);
      timer = setTimeout(compute, pause);
    }

    async function compute() {
      const mine = ++round;
      const state = current();
      examples.set(1 + EXAMPLES.findIndex(({ texts }) => `${texts}` === `${state.texts}`));
      const texts = state.texts.map((text, i) => {
        if (fields[i].value !== text) fields[i].value = text;
        const ids = m.tokenizer.encode(text, TOKENS);
        const cut = words(ids.map((id) => m.vocabulary[id]));
        const out = state.out[i].filter((word) => word < cut.length);
        const hidden = ids.map((_, t) => out.some((word) => cut[word].tokens.includes(t)));
        return { ids, words: cut, out, hidden };
      });
      /** @type {Trace} */
      const trace = new Map();
      const [first] = texts;
      if (known.size > 100) known.clear();
      known.set(`${first.ids} ${first.hidden}`, m.read(first.ids, { hidden: first.hidden, trace }));
      const vectors = [];
      for (const { ids, hidden } of texts) {
        for (const shut of [ids.map(() => false), hidden]) {
          // One pass at a time: what the reader does meanwhile comes first.
          await new Promise((resolve) => setTimeout(resolve));
          if (mine !== round) return;
          const key = `${ids} ${shut}`;
          const vector = known.get(key) ?? m.read(ids, { hidden: shut });
          known.set(key, vector);
          vectors.push(vector);
        }
      }
      texts.forEach((text, i) => press(i, text));
      const [a, b] = [LiveBert.dot(vectors[0], vectors[2]), LiveBert.dot(vectors[1], vectors[3])];
      const some = texts.some(({ out }) => out.length);
      result.replaceChildren(
        h(
          "div",
          { class: "live-row" },
          meter("Similarity", a),
          ...(some ? [meter("Without the words left out", b)] : []),
        ),
        ...texts.flatMap(({ ids }, i) =>
          ids.length < TOKENS ? [] : [h("p", {}, `${titles[i]}: only ${TOKENS} tokens are read.`)],
        ),
      );
      const layers = Array.from(
        { length: n_layers },
        (_, i) =>
          /** @type {Tensor} */ (trace.get(`encoder.blocks.${i}.self_attention.weights`)).data,
      );
      const tokens = first.ids.map((id) => m.vocabulary[id]);
      read = { tokens, hidden: first.hidden, layers };
      heads.draw(read);
      enlarge();
      result.setAttribute("aria-busy", "false");
    }

    /**
     * The words as buttons; those that are there already stay, so that the focus does.
     *
     * @param {number} i
     * @param {{words: {text: string}[], out: number[]}} text
     */
    function press(i, text) {
      const place = chips[i];
      while (place.childElementCount > text.words.length) place.lastElementChild?.remove();
      text.words.forEach((word, w) => {
        let chip = /** @type {HTMLButtonElement | undefined} */ (place.children[w]);
        if (!chip) {
          chip = h("button", { type: "button", dir: "auto", onclick: () => toggle(i, w) });
          place.append(chip);
        }
        const out = text.out.includes(w);
        chip.textContent = out ? `✕ ${word.text}` : word.text;
        chip.setAttribute("aria-pressed", String(out));
      });
    }

    /**
     * @param {number} i
     * @param {number} word
     */
    function toggle(i, word) {
      const { out } = current();
      out[i] = out[i].includes(word) ? out[i].filter((other) => other !== word) : [...out[i], word];
      soon(0);
    }

    function enlarge() {
      const { layer, head } = current();
      heads.mark(layer, head);
      if (read) picture.show(read, layer, head);
    }

    const labelled = titles.flatMap((title, i) => [
      h("label", { class: "live-wide" }, title, fields[i]),
      chips[i],
    ]);
    const element = h(
      "div",
      {},
      h("div", { class: "live-controls" }, examples.element),
      ...labelled,
      result,
      h("p", { class: "live-hint" }, "Attention while it reads the first sentence:"),
      heads.element,
      picture.element,
      h("div", { class: "live-controls" }, forget),
      note,
    );
    return { element, show: () => soon(0) };
  }

  /**
   * @param {string} name
   * @param {number} value
   */
  function meter(name, value) {
    const bar = h("meter", { min: 0, max: 1, value });
    return h("label", { class: "live-slider" }, `${name} `, bar, h("output", {}, number(value)));
  }

  return { restore, open };
})();
