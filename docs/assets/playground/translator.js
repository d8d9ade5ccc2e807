// The translator: the number-words model of chapter 28, and what its decoder reads while it writes.
"use strict";

(() => {
  const { h, select, number } = LiveUI;
  const { svg, fold } = LivePictures;
  const { LANGUAGES, NAMES, split, join, tidy } = LiveNumbers;
  const WIDTH = 3;
  const LONGEST = 200;
  const PIECES = 60;
  // Spelled by num2words, as the training data was: a test compares. The last ones go wrong.
  const EXAMPLES = [
    {
      en: "twenty-one thousand and six",
      de: "einundzwanzigtausendsechs",
      fr: "vingt et un mille six",
    },
    {
      en: "seventy-seven thousand, seven hundred and seventy-seven",
      de: "siebenundsiebzigtausendsiebenhundertsiebenundsiebzig",
      fr: "soixante-dix-sept mille sept cent soixante-dix-sept",
    },
    {
      en: "five hundred thousand and ninety",
      de: "fünfhunderttausendneunzig",
      fr: "cinq cent mille quatre-vingt-dix",
    },
    { en: "twenty-one", de: "einundzwanzig", fr: "vingt et un" },
    { en: "six hundred thousand", de: "sechshunderttausend", fr: "six cent mille" },
    {
      en: "two hundred thousand and twenty",
      de: "zweihunderttausendzwanzig",
      fr: "deux cent mille vingt",
    },
  ];

  /** @typedef {{text: string, from: Language, to: Language, layer: number, head: number}} State */

  /** @returns {State} */
  const start = () => ({ text: EXAMPLES[0].en, from: "en", to: "de", layer: 1, head: 0 });

  /**
   * @param {any} saved
   * @returns {State}
   */
  function restore(saved) {
    const state = start();
    if (typeof saved?.text === "string") state.text = saved.text.slice(0, LONGEST);
    if (LANGUAGES.includes(saved?.from)) state.from = saved.from;
    if (LANGUAGES.includes(saved?.to)) state.to = saved.to;
    if ([0, 1].includes(saved?.layer)) state.layer = saved.layer;
    if ([0, 1, 2, 3, 4].includes(saved?.head)) state.head = saved.head;
    return state;
  }

  /** @type {InstanceType<typeof LiveModel.Model> | undefined} one for all figures of a page */
  let shared;

  function model() {
    const file = LiveWeights.get("number-words-transformer");
    if (!file) throw new Error("the model isn't there");
    shared ??= new LiveModel.Model(file);
    return shared;
  }

  /**
   * The ids of a source: a tag that names the target language, the pieces, the end.
   *
   * @param {string[]} vocabulary
   * @param {State} state
   * @returns {number[] | null} null where the text isn't number words, or too long
   */
  function source(vocabulary, { text, from, to }) {
    const pieces = split(tidy(text), from);
    if (!pieces?.length || pieces.length > PIECES) return null;
    return [`<2${to}>`, ...pieces, "<eos>"].map((piece) => vocabulary.indexOf(piece));
  }

  /**
   * Cross-attention while the model writes `ids`: layers × heads × target × source.
   *
   * @param {InstanceType<typeof LiveModel.Model>} m
   * @param {number[]} ids with their end
   */
  function attention(m, ids) {
    /** @type {Trace} */
    const trace = new Map();
    m.truncate(0);
    // Row t is read while token t is chosen: its input is the token before.
    m.extend([m.config.bos_id ?? 1, ...ids.slice(0, -1)], { trace });
    return [0, 1].map((layer) => {
      const map = trace.get(`decoder.blocks.${layer}.cross_attention.weights`);
      if (!map) throw new Error("no cross-attention in this model");
      const [heads, rows, columns] = map.shape;
      return Array.from({ length: heads }, (_, head) =>
        Array.from({ length: rows }, (_, t) =>
          Array.from(
            map.data.subarray((head * rows + t) * columns, (head * rows + t + 1) * columns),
          ),
        ),
      );
    });
  }

  LiveUI.define("translator", (saved) => {
    let state = restore(saved);
    const m = model();
    const names = LANGUAGES.map((language) => NAMES[language]);
    const problem = h("p", { class: "live-problem", role: "alert" });
    const result = h("div", { "aria-live": "polite" });
    const picture = h("div");
    const weights = fold("The weights");
    const text = h("textarea", {
      rows: 2,
      maxlength: LONGEST,
      spellcheck: "false",
      oninput: typed,
    });
    const field = h("label", { class: "live-wide" }, "Number in words ", text);
    const set = (/** @type {Partial<State>} */ change) => {
      Object.assign(state, change);
      soon();
    };
    const from = select("From ", names, (i) => set({ from: LANGUAGES[i] }));
    const to = select("to ", names, (i) => set({ to: LANGUAGES[i] }));
    const examples = select("Example ", ["your own", ...EXAMPLES.map((e) => e.en)], (i) => {
      if (i) set({ text: EXAMPLES[i - 1][state.from] });
      text.value = state.text;
    });
    const swap = h("button", { type: "button", onclick: swapped }, "Swap languages");
    const layer = select("Decoder layer ", ["1", "2"], (i) => set({ layer: i }));
    const head = select("Head ", ["mean of all", "1", "2", "3", "4"], (i) => set({ head: i }));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let round = 0;

    /** Which example stands in the field; -1 for the reader's own. */
    const example = () => EXAMPLES.findIndex((each) => each[state.from] === tidy(state.text));

    function typed() {
      set({ text: text.value.slice(0, LONGEST) });
    }

    function swapped() {
      const known = EXAMPLES[example()];
      if (known) text.value = known[state.to];
      set({ text: text.value, from: state.to, to: state.from });
    }

    /** Typing goes on while the model works: it starts when the keys rest, and pauses between steps. */
    function soon() {
      result.setAttribute("aria-busy", "true");
      clearTimeout(timer);
      timer = setTimeout(translate, 120);
    }

    async function translate() {
      const mine = ++round;
      result.setAttribute("aria-busy", "true");
      from.set(LANGUAGES.indexOf(state.from));
      to.set(LANGUAGES.indexOf(state.to));
      examples.set(example() + 1);
      layer.set(state.layer);
      head.set(state.head);
      if (document.activeElement !== text) text.value = state.text;
      const ids = source(m.vocabulary, state);
      problem.textContent = ids ? "" : complaint(state);
      text.setAttribute("aria-invalid", String(!ids));
      weights.element.hidden = !ids;
      if (!ids) {
        result.replaceChildren();
        picture.replaceChildren();
        result.setAttribute("aria-busy", "false");
        return;
      }
      const written = await search(ids, () => mine !== round);
      if (!written) return;
      show(ids, written, attention(m, written.found[0].ids));
      result.setAttribute("aria-busy", "false");
    }

    /**
     * The greedy answer, and what beam search finds.
     *
     * @param {number[]} ids
     * @param {() => boolean} stale
     * @returns {Promise<{greedy: number[], found: Beam[]} | null>} null when something newer is asked
     */
    async function search(ids, stale) {
      const { bos_id = 1, eos_id = 2, pad_id = 0, max_len } = m.config;
      m.encode(ids);
      const step = (/** @type {number[]} */ tokens) => {
        m.truncate(0);
        return m.extend(tokens, { last: true });
      };
      const tokens = { start: bos_id, end: eos_id, pad: pad_id, most: max_len - 1 };
      // One token more at every step: the cache has the others.
      const next = (/** @type {number[]} */ tokens) => {
        m.truncate(tokens.length - 1);
        return m.extend(tokens.slice(-1), { last: true });
      };
      const greedy = LiveSearch.greedy(next, tokens);
      const steps = LiveSearch.beams(step, WIDTH, tokens);
      let rested = performance.now();
      for (let turn = steps.next(); ; turn = steps.next()) {
        if (turn.done) return { greedy, found: turn.value };
        if (performance.now() - rested < 12) continue;
        await new Promise((resolve) => setTimeout(resolve));
        if (stale()) return null;
        rested = performance.now();
      }
    }

    /**
     * @param {number[]} ids
     * @param {{greedy: number[], found: Beam[]}} written
     * @param {number[][][][]} maps
     */
    function show(ids, { greedy, found }, maps) {
      const words = (/** @type {number[]} */ some) =>
        join(
          some.filter((id) => id > 2).map((id) => m.vocabulary[id]),
          state.to,
        );
      const foreign = (/** @type {string} */ text) =>
        h("span", { lang: state.to }, text || "(nothing)");
      const lines = found.map((beam) =>
        h("li", {}, foreign(words(beam.ids)), ` ${share(beam.score)}`),
      );
      result.replaceChildren(
        h("p", {}, "The likeliest piece at every step: ", foreign(words(greedy))),
        h("p", {}, "The likeliest translations, by beam search with three beams:"),
        h("ol", {}, ...lines),
      );
      const truth = EXAMPLES[example()]?.[state.to];
      if (truth && truth !== words(greedy)) {
        const saved =
          truth === words(found[0].ids) ? " Beam search found it." : " So is beam search.";
        result.append(
          h(
            "p",
            { class: "live-warning" },
            "Step by step is wrong. It should be: ",
            foreign(truth),
            `.${saved}`,
          ),
        );
      }
      const heads = maps[state.layer];
      const map = state.head ? heads[state.head - 1] : mean(heads);
      const [source, target] = [ids, found[0].ids].map((some) =>
        some.map((id) => m.vocabulary[id]),
      );
      picture.replaceChildren(alignment(source, target, map));
      weights.fill(
        ["target ↓ source →", ...source],
        map.map((row, t) => [target[t], ...row]),
      );
    }

    text.value = state.text;
    translate();
    const body = h(
      "div",
      {},
      h("div", { class: "live-controls" }, examples.element),
      h("div", { class: "live-controls" }, from.element, to.element, swap),
      field,
      problem,
      result,
      h("div", { class: "live-controls" }, layer.element, head.element),
      picture,
      weights.element,
      card(),
    );
    return {
      title: "The translator",
      about: "A Transformer of 0.24 million parameters, trained for this book, in your page.",
      question: {
        text: "it learned from 5,000 numbers drawn evenly from 0 to 999,999. It writes the likeliest piece at every step. Does it translate “twenty-one” rightly into German?",
        choices: ["yes, that is easy", "no"],
        answer: 1,
        why: "It writes “einundzwanzigtausend”. Nine in ten of its numbers had six digits, hardly one had two. Beam search, which keeps three beginnings, still finds the right one: try the example.",
      },
      body,
      reset: () => {
        state = start();
        text.value = state.text;
        problem.textContent = "";
        soon();
      },
      state: () => state,
    };
  });

  /** @param {State} state */
  function complaint({ text, from }) {
    if (!tidy(text)) return "Type a number in words.";
    const long = split(tidy(text), from)?.length;
    if (long) return `Too long for a number in words: ${long} pieces. The model takes ${PIECES}.`;
    const others = LANGUAGES.filter((language) => split(tidy(text), language));
    const hint = others.length
      ? ` It looks ${NAMES[others[0]]}.`
      : ` Such as: ${EXAMPLES[0][from]}.`;
    return `That isn't a number in words in ${NAMES[from]}, below a million.${hint}`;
  }

  const share = (/** @type {number} */ score) => `${number(100 * Math.exp(score), 1)} %`;

  /**
   * @param {number[][][]} heads
   */
  const mean = (heads) =>
    heads[0].map((row, t) =>
      row.map((_, s) => heads.reduce((sum, map) => sum + map[t][s], 0) / heads.length),
    );

  /**
   * Words on both sides, lines between them as strong as the weights.
   *
   * @param {string[]} source
   * @param {string[]} target
   * @param {number[][]} map
   */
  function alignment(source, target, map) {
    const height = 24 * Math.max(source.length, target.length) + 12;
    const picture = svg("svg", { viewBox: `0 0 320 ${height}`, role: "img", width: 420 });
    picture.setAttribute(
      "aria-label",
      `Lines from ${target.length} target to ${source.length} source pieces; the table holds the same weights.`,
    );
    map.forEach((row, t) =>
      row.forEach((weight, s) => {
        if (weight < 0.05) return;
        const place = {
          x1: 112,
          y1: 24 * s + 18,
          x2: 208,
          y2: 24 * t + 18,
          stroke: "currentColor",
        };
        picture.append(
          svg("line", { ...place, "stroke-width": 0.5 + 4 * weight, "stroke-opacity": weight }),
        );
      }),
    );
    source.forEach((piece, s) => {
      picture.append(
        svg("text", { x: 106, y: 24 * s + 22, "text-anchor": "end", "font-size": 13 }, piece),
      );
    });
    target.forEach((piece, t) => {
      picture.append(svg("text", { x: 214, y: 24 * t + 22, "font-size": 13 }, piece));
    });
    return picture;
  }

  function card() {
    const file = LiveWeights.get("number-words-transformer");
    const { fp16, before } = file?.rounding ?? {};
    const cost = `Rounded to ${file?.tensors[0].dtype}: loss ${fp16?.loss} nats a piece, ${before?.loss} before.`;
    return h(
      "details",
      {},
      h("summary", {}, "Model card"),
      h("p", {}, cost),
      h("pre", { tabindex: 0, "aria-label": "Model card" }, file?.card ?? ""),
    );
  }
})();
