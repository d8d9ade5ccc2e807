// Positions: five encodings side by side, and one distance to drag.
"use strict";

(() => {
  const { h, slider, select, number } = LiveUI;
  const { svg, fold } = LivePictures;
  const { WIDTH, TRAINED, speed, sinusoidal, rope, alibi, bucket } = LivePositions;
  const PAIRS = WIDTH / 2;
  const LENGTHS = [128, 512];
  const BASES = [10000, 500000];

  /** @typedef {{distance: number, length: number, base: number, pairs: number, head: number}} State */

  /** @returns {State} `length` and `base` are indices */
  const start = () => ({ distance: 6, length: 0, base: 0, pairs: PAIRS, head: 2 });

  /**
   * @param {any} saved
   * @returns {State}
   */
  function restore(saved) {
    const state = start();
    const whole = (/** @type {any} */ x, /** @type {number} */ least, /** @type {number} */ most) =>
      Number.isInteger(x) && x >= least && x <= most;
    if (whole(saved?.length, 0, 1)) state.length = saved.length;
    if (whole(saved?.distance, 0, LENGTHS[state.length])) state.distance = saved.distance;
    if (whole(saved?.base, 0, 1)) state.base = saved.base;
    if (whole(saved?.pairs, 0, PAIRS)) state.pairs = saved.pairs;
    if (whole(saved?.head, 1, 8)) state.head = saved.head;
    return state;
  }

  /**
   * The five, each with what it gives at a distance and the range of its axis.
   *
   * @type {{name: string, what: string, value: (d: number, state: State) => number,
   *   range: [number, number], grows?: boolean, words: (x: number) => string}[]}
   */
  const ENCODINGS = [
    {
      name: "None",
      what: "nothing: any order is the same",
      value: () => 0,
      range: [-1, 1],
      words: (x) => number(x),
    },
    {
      name: "Sinusoidal",
      what: "cosine between two rows of the table",
      value: (d, { base }) => sinusoidal(d, BASES[base]),
      range: [-1, 1],
      words: (x) => number(x),
    },
    {
      name: "RoPE",
      what: "share of the score that the turn leaves",
      value: (d, { base, pairs }) => rope(d, BASES[base], pairs),
      range: [-1, 1],
      words: (x) => number(x),
    },
    {
      name: "ALiBi",
      what: "added to the score",
      value: (d, { head }) => alibi(d, LiveLayers.slopes(8)[head - 1]),
      range: [-0.5, 0], // a token: the steepest head's slope
      grows: true,
      words: (x) => number(x, 1),
    },
    {
      name: "T5",
      what: "bucket, whose bias is learned",
      value: (d) => bucket(d),
      range: [0, 31],
      words: (x) => String(x),
    },
  ];

  LiveUI.define("positions", (saved) => {
    let state = restore(saved);
    const set = (/** @type {Partial<State>} */ change) => {
      Object.assign(state, change);
      state.distance = Math.min(state.distance, LENGTHS[state.length]);
      draw();
    };
    const charts = ENCODINGS.map((encoding) => chart(encoding, (distance) => set({ distance })));
    const dials = h("div", { class: "live-row" });
    const distance = h("div");
    const length = select("Distances up to ", LENGTHS.map(String), (i) => set({ length: i }));
    const base = select("Base ", ["10,000", "500,000"], (i) => set({ base: i }));
    const range = { min: 0, max: PAIRS, step: 1, value: state.pairs };
    const pairs = slider("Pairs that RoPE turns ", range, (value) => set({ pairs: value }));
    const heads = { min: 1, max: 8, step: 1, value: state.head };
    const head = slider("ALiBi's head, of 8 ", heads, (value) => set({ head: value }));
    const table = h("tbody");
    const curves = fold("The curves");
    // Hundreds of rows: they scroll in a place of their own.
    curves.element.lastElementChild?.setAttribute("style", "max-height: 20rem");
    let most = 0;
    /** @type {ReturnType<typeof slider> | undefined} */
    let handle;

    function draw() {
      const reach = LENGTHS[state.length];
      if (most !== reach) {
        const range = { min: 0, max: reach, step: 1, value: state.distance };
        handle = slider("Distance ", range, (value) => set({ distance: value }));
        distance.replaceChildren(handle.element);
        most = reach;
      }
      handle?.set(state.distance);
      length.set(state.length);
      base.set(state.base);
      pairs.set(state.pairs);
      head.set(state.head);
      for (const each of charts) each.draw(state, reach);
      const points = Array.from({ length: reach + 1 }, (_, d) => [
        d,
        ...ENCODINGS.map(({ value, words }) => words(value(d, state))),
      ]);
      curves.fill(["Distance", ...ENCODINGS.map(({ name }) => name)], points, state.distance);
      dials.replaceChildren(...Array.from({ length: PAIRS }, (_, i) => dial(i, state)));
      table.replaceChildren(
        ...ENCODINGS.map(({ name, what, value, words }) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, name),
            h("td", {}, words(value(state.distance, state))),
            h("td", { class: "live-left" }, what),
          ),
        ),
      );
    }

    draw();
    const caption = h("caption", {}, "At this distance");
    const body = h(
      "div",
      {},
      h("div", { class: "live-controls" }, distance, length.element),
      h("div", { class: "live-row" }, ...charts.map(({ element }) => element)),
      h("div", { class: "live-grid" }, h("table", { class: "live-table" }, caption, table)),
      curves.element,
      h("div", { class: "live-controls" }, base.element, pairs.element, head.element),
      h(
        "p",
        { class: "live-hint" },
        "RoPE's pairs at this distance: the thin hand is the query's feature, the thick one the key's, which lies that far back. Each turns slower than the one before.",
      ),
      dials,
    );
    return {
      title: "Positions",
      about: `Five encodings at one distance between query and key. The dashed line is at ${TRAINED}, a training length.`,
      question: {
        text: "two keys lie 200 and 500 tokens back. To which does T5's bias give more?",
        choices: ["the nearer", "the farther", "both alike"],
        answer: 2,
        why: "From 128 on, all distances share the last bucket. ALiBi tells them apart; what it takes keeps growing.",
      },
      body,
      reset: () => {
        state = start();
        draw();
      },
      state: () => state,
    };
  });

  /** @param {string} d @param {Record<string, any>} look */
  const line = (d, look) => svg("path", { d, stroke: "currentColor", fill: "none", ...look });

  /**
   * One encoding's curve; a drag on it moves the distance. The table says the same in numbers.
   *
   * @param {(typeof ENCODINGS)[number]} encoding
   * @param {(distance: number) => void} dragged
   */
  function chart({ name, value, range, grows }, dragged) {
    const picture = svg("svg", { viewBox: "0 0 200 90", width: 200, role: "img" });
    const title = h("p", { class: "live-chart-title" });
    let reach = LENGTHS[0];
    let down = { clientX: 0, clientY: 0 };
    // A finger that goes up or down scrolls the page: only a tap or a move aside is meant for us.
    const follow = (/** @type {PointerEvent} */ event) => {
      const { type, clientX, clientY } = event;
      if (type === "pointerdown") down = event;
      if (type === "pointermove" && !event.buttons) return;
      const aside = Math.abs(clientX - down.clientX) > Math.abs(clientY - down.clientY);
      if (event.pointerType === "touch" && type !== "click" && !aside) return;
      const box = picture.getBoundingClientRect();
      const place = ((clientX - box.left) / box.width) * 200;
      dragged(Math.max(0, Math.min(reach, Math.round(((place - 5) / 190) * reach))));
    };
    for (const type of ["pointerdown", "pointermove", "click"])
      picture.addEventListener(type, /** @type {EventListener} */ (follow));

    /**
     * @param {State} state
     * @param {number} most
     */
    function draw(state, most) {
      reach = most;
      const [low, high] = grows ? range.map((end) => end * most) : range;
      title.textContent = `${name}, ${number(low, 0)} to ${number(high, 0)}`;
      const x = (/** @type {number} */ d) => 5 + (190 * d) / reach;
      const y = (/** @type {number} */ v) => 85 - (80 * (v - low)) / (high - low);
      const at = value(state.distance, state);
      let path = "";
      for (let d = 0; d <= reach; d++)
        path += `${d ? "L" : "M"}${x(d)} ${y(value(d, state)).toFixed(1)}`;
      const here = x(state.distance);
      picture.replaceChildren(
        line(`M5 ${y(0)}H195`, { "stroke-opacity": 0.3 }),
        line(`M${x(TRAINED)} 2V88`, { "stroke-dasharray": "3 3" }),
        line(path, { "stroke-width": 1.6 }),
        line(`M${here} 2V88`, { "stroke-opacity": 0.5 }),
        svg("circle", { cx: here, cy: y(at), r: 4, fill: "currentColor" }),
      );
      const words = `${name} over distances 0 to ${reach}; at ${state.distance} it is ${number(at)}.`;
      picture.setAttribute("aria-label", words);
    }
    return { element: h("div", { class: "live-chart" }, title, picture), draw };
  }

  /**
   * How far one pair has turned: counter-clockwise with every position, so that a key further back
   * stays behind its query.
   *
   * @param {number} i
   * @param {State} state
   */
  function dial(i, { distance, base, pairs }) {
    const angle = i < pairs ? distance * speed(i, BASES[base]) : 0;
    const picture = svg("svg", { viewBox: "-20 -20 40 40", width: 56, role: "img" });
    const [x, y] = [16 * Math.cos(angle), 16 * Math.sin(angle)]; // down is positive here
    picture.append(
      svg("circle", { r: 18, fill: "none", stroke: "currentColor", "stroke-opacity": 0.4 }),
      line("M0 0H16", {}),
      line(`M0 0L${x} ${y}`, { "stroke-width": 3 }),
    );
    const turned = number(angle / (2 * Math.PI));
    picture.setAttribute("aria-label", `Pair ${i + 1}: turned ${turned} times`);
    return h("div", { class: "live-dial" }, picture, h("span", {}, `${turned} turns`));
  }
})();
