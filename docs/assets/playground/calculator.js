// The attention calculator: four tokens, every number of attention, each cell's sum written out.
"use strict";

(() => {
  const { h, grid, slider, select, checkbox, paint, number } = LiveUI;
  const TOKENS = ["the", "cat", "drank", "milk"];
  const NAMES = /** @type {const} */ (["Q", "K", "V"]);
  const WORDS = { Q: "query", K: "key", V: "value" };
  const LIMIT = 99;
  const SCALES = [
    { name: "1/√2, the formula's", factor: 2 ** -0.5, words: "√2" },
    { name: "1, no division", factor: 1, words: "1" },
    { name: "1/2, by the width", factor: 0.5, words: "2" },
  ];

  /**
   * @typedef {object} State
   * @property {number[][]} Q
   * @property {number[][]} K
   * @property {number[][]} V
   * @property {number} scale which of SCALES
   * @property {number} temperature
   * @property {boolean[][]} mask true = may attend
   * @property {[number, number]} cell query and key whose sum is written out
   */

  /** @returns {State} */
  const start = () => ({
    Q: [
      [1, 0],
      [0, -1],
      [2, 1],
      [1, -1],
    ],
    K: [
      [0, 0],
      [1, 0],
      [1, -2],
      [0, 1],
    ],
    V: [
      [0, 0],
      [8, 0],
      [8, 8],
      [0, 8],
    ],
    scale: 0,
    temperature: 1,
    mask: TOKENS.map(() => TOKENS.map(() => true)),
    cell: [2, 1],
  });

  /**
   * A state out of a link: whatever doesn't fit is left out.
   *
   * @param {any} saved
   * @returns {State}
   */
  function restore(saved) {
    const state = start();
    const fits = (/** @type {any} */ rows, /** @type {number} */ width, /** @type {any} */ good) =>
      Array.isArray(rows) &&
      rows.length === 4 &&
      rows.every((row) => Array.isArray(row) && row.length === width && row.every(good));
    const finite = (/** @type {any} */ x) => typeof x === "number" && Math.abs(x) <= LIMIT;
    for (const name of NAMES) if (fits(saved?.[name], 2, finite)) state[name] = saved[name];
    if ([0, 1, 2].includes(saved?.scale)) state.scale = saved.scale;
    // To the slider's step, or it would show another number than the one that counts.
    if (saved?.temperature >= 0.1 && saved.temperature <= 5)
      state.temperature = Math.round(saved.temperature * 10) / 10;
    if (fits(saved?.mask, 4, (/** @type {any} */ x) => typeof x === "boolean"))
      state.mask = saved.mask;
    const inside = (/** @type {any} */ i) => Number.isInteger(i) && i >= 0 && i < 4;
    if (Array.isArray(saved?.cell) && saved.cell.length === 2 && saved.cell.every(inside)) {
      state.cell = saved.cell;
    }
    return state;
  }

  LiveUI.define("calculator", (saved) => {
    let state = restore(saved);
    let masking = false;
    const problem = h("p", { class: "live-problem", role: "alert" });
    const inputs = NAMES.map((name) =>
      vectors(
        name,
        () => state,
        problem,
        () => draw(),
      ),
    );
    const scores = grid("Scores, scaled", TOKENS, TOKENS, (t, s) => pressed(t, s));
    const weights = grid("Weights: each row sums to 1", TOKENS, TOKENS, (t, s) => pressed(t, s));
    const output = outputTable();
    // What a change says aloud; the sums below it would talk for half a minute.
    const news = h("p", { class: "live-sums-title", "aria-live": "polite" });
    const sums = h("dl");
    const scale = select(
      "Factor on the dot products ",
      SCALES.map(({ name }) => name),
      (i) => {
        state.scale = i;
        draw();
      },
    );
    const range = { min: 0.1, max: 5, step: 0.1, value: state.temperature };
    const temperature = slider(
      "Temperature ",
      range,
      (value) => {
        state.temperature = value;
        draw();
      },
      (value) => value.toFixed(1),
    );
    const mode = checkbox("A click masks a cell", (on) => {
      masking = on;
    });
    const causal = h(
      "button",
      { type: "button", onclick: () => fill((t, s) => s <= t) },
      "Causal mask",
    );
    const open = h("button", { type: "button", onclick: () => fill(() => true) }, "No mask");

    /** @param {(t: number, s: number) => boolean} allowed */
    function fill(allowed) {
      state.mask = TOKENS.map((_, t) => TOKENS.map((_, s) => allowed(t, s)));
      draw();
    }

    /**
     * @param {number} t
     * @param {number} s
     * @param {boolean} [mask]
     */
    function pressed(t, s, mask = masking) {
      state.cell = [t, s];
      if (mask) state.mask[t][s] = !state.mask[t][s];
      draw();
    }

    for (const table of [scores, weights]) {
      table.cells.forEach((line, t) =>
        line.forEach((cell, s) =>
          cell.addEventListener("keydown", (event) => {
            if (event.key === "m" && !event.ctrlKey && !event.metaKey) pressed(t, s, true);
          }),
        ),
      );
    }

    function draw() {
      const factor = SCALES[state.scale].factor / state.temperature;
      const found = LiveAttention.attend(state.Q, state.K, state.V, {
        scale: factor,
        mask: state.mask,
      });
      for (const table of inputs) table.draw();
      problem.textContent = ""; // what was wrong has its last good number again
      scale.set(state.scale);
      temperature.set(state.temperature);
      for (let t = 0; t < 4; t++) {
        for (let s = 0; s < 4; s++) {
          const open = state.mask[t][s];
          const chosen = state.cell[0] === t && state.cell[1] === s;
          cell(
            scores.cells[t][s],
            t,
            s,
            "score",
            open ? found.scores[t][s] : -Infinity,
            open,
            chosen,
          );
          cell(weights.cells[t][s], t, s, "weight", found.weights[t][s], open, chosen);
          if (open) paint(weights.cells[t][s], found.weights[t][s]);
        }
      }
      output.draw(found.output, state.cell[0]);
      const [t, s] = state.cell;
      const [score, weight] = [found.scores, found.weights].map((rows) => number(rows[t][s]));
      news.textContent = `“${TOKENS[t]}” asks “${TOKENS[s]}”: score ${score}, weight ${weight}`;
      sums.replaceChildren(...written(state, found));
    }

    draw();
    const body = h(
      "div",
      {},
      h("div", { class: "live-row" }, ...inputs.map(({ element }) => element)),
      problem,
      h("div", { class: "live-controls" }, scale.element, temperature.element),
      h("div", { class: "live-controls" }, mode.element, causal, open),
      h("p", { class: "live-hint" }, "Choose a cell to see its sum. The arrow keys move, m masks."),
      h("div", { class: "live-row" }, scores.element, weights.element, output.element),
      h("div", { class: "live-sums" }, news, sums),
    );
    return {
      title: "The attention calculator",
      about: "Scores, weights and outputs of the four tokens, computed anew with every change.",
      question: {
        text: "the query of “milk” is (1, −1). Which token gets most of its attention?",
        choices: TOKENS,
        answer: 2,
        why: "Its key (1, −2) points the same way: 1·1 + (−1)·(−2) = 3. “cat” gets 1, “the” 0, “milk” −1.",
      },
      body,
      reset: () => {
        state = start();
        masking = false;
        mode.set(false);
        draw();
      },
      state: () => state,
    };
  });

  /**
   * One of the three tables that the reader edits.
   *
   * @param {"Q" | "K" | "V"} name
   * @param {() => State} state
   * @param {HTMLElement} problem
   * @param {() => void} changed
   */
  function vectors(name, state, problem, changed) {
    const fields = TOKENS.map((token, t) =>
      [0, 1].map((i) => {
        const label = `${WORDS[name]} of ${token}, number ${i + 1}`;
        const field = h("input", {
          type: "number",
          step: 0.5,
          min: -LIMIT,
          max: LIMIT,
          "aria-label": label,
          // Half a number, such as its sign, is no mistake before the reader leaves it.
          oninput: () => field.validity.badInput || read(field, label, t, i),
          onblur: () => field.validity.badInput && read(field, label, t, i),
        });
        return field;
      }),
    );

    /**
     * @param {HTMLInputElement} field
     * @param {string} label
     * @param {number} t
     * @param {number} i
     */
    function read(field, label, t, i) {
      const value = Number(field.value);
      const good = field.value.trim() !== "" && Number.isFinite(value) && Math.abs(value) <= LIMIT;
      field.setAttribute("aria-invalid", String(!good));
      if (!good) {
        problem.textContent = `The ${label}: a number from −${LIMIT} to ${LIMIT}, please.`;
        return;
      }
      state()[name][t][i] = value;
      changed();
    }

    const lines = fields.map((pair, t) =>
      h("tr", {}, h("th", { scope: "row" }, TOKENS[t]), ...pair.map((field) => h("td", {}, field))),
    );
    const element = h(
      "div",
      { class: "live-grid live-vectors" },
      h(
        "table",
        { class: "live-table" },
        h("caption", {}, `${name}: ${WORDS[name]} of each token`),
        h("tbody", {}, ...lines),
      ),
    );
    const draw = () =>
      fields.forEach((pair, t) =>
        pair.forEach((field, i) => {
          if (field === document.activeElement && field.getAttribute("aria-invalid") !== "true")
            return;
          field.value = String(state()[name][t][i]);
          field.removeAttribute("aria-invalid");
        }),
      );
    return { element, draw };
  }

  /**
   * @param {HTMLElement} button
   * @param {number} t
   * @param {number} s
   * @param {string} what
   * @param {number} value
   * @param {boolean} open
   * @param {boolean} chosen
   */
  function cell(button, t, s, what, value, open, chosen) {
    button.textContent = number(value);
    button.className = open ? "" : "live-shut";
    button.style.background = "";
    button.style.color = "";
    button.setAttribute("aria-pressed", String(chosen));
    const shut = open ? "" : ", masked";
    button.setAttribute(
      "aria-label",
      `${TOKENS[t]} to ${TOKENS[s]}: ${what} ${number(value)}${shut}`,
    );
  }

  function outputTable() {
    const cells = TOKENS.map(() => [h("td"), h("td")]);
    const lines = cells.map((pair, t) =>
      h("tr", {}, h("th", { scope: "row" }, TOKENS[t]), ...pair),
    );
    const element = h(
      "div",
      { class: "live-grid live-vectors" },
      h(
        "table",
        { class: "live-table" },
        h("caption", {}, "Output: weights · V"),
        h("tbody", {}, ...lines),
      ),
    );
    const draw = (/** @type {number[][]} */ output, /** @type {number} */ chosen) =>
      cells.forEach((pair, t) => {
        lines[t].className = t === chosen ? "live-chosen" : "";
        pair.forEach((td, e) => {
          td.textContent = number(output[t][e]);
        });
      });
    return { element, draw };
  }

  /**
   * The arithmetic of the chosen cell, step by step.
   *
   * @param {State} state
   * @param {{scores: number[][], weights: number[][], output: number[][]}} found
   */
  function written(state, { scores, weights, output }) {
    const [t, s] = state.cell;
    const q = state.Q[t];
    const k = state.K[s];
    const open = state.mask[t][s];
    const cooled = state.temperature === 1 ? "" : ` / ${number(state.temperature, 1)}`;
    const product = `${factor(q[0])}·${factor(k[0])} + ${factor(q[1])}·${factor(k[1])}`;
    const score = open
      ? `(${product}) / ${SCALES[state.scale].words}${cooled} = ${number(scores[t][s])}`
      : `${product}, but the cell is masked, so −∞ takes its place`;
    const allowed = TOKENS.map((_, i) => i).filter((i) => state.mask[t][i]);
    // Shifted by the row's largest score, as the code does it: nothing can overflow.
    const largest = Math.max(...allowed.map((i) => scores[t][i]));
    const powers = allowed.map((i) => Math.exp(scores[t][i] - largest));
    const total = powers.reduce((a, b) => a + b, 0);
    const share = !allowed.length
      ? "every key is masked: this row has no shares to give, and all its weights are 0"
      : open
        ? `e^(${number(scores[t][s])} − ${factor(largest, 2)}) / (${powers.map((p) => number(p)).join(" + ")})` +
          ` = ${number(Math.exp(scores[t][s] - largest))} / ${number(total)} = ${number(weights[t][s])}`
        : `e^−∞ = 0, so the weight is 0; the open cells share out the whole one`;
    const terms = TOKENS.map((_, i) => `${number(weights[t][i])}·${vector(state.V[i])}`);
    const lines = [
      ["Score", score],
      ["Weight", share],
      ["Output", `${terms.join(" + ")} = (${output[t].map((x) => number(x)).join(", ")})`],
    ];
    return lines.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]);
  }

  /**
   * @param {number} x
   * @param {number} [digits]
   */
  function factor(x, digits) {
    const text = digits === undefined ? String(x).replace("-", "−") : number(x, digits);
    return x < 0 ? `(${text})` : text;
  }

  const vector = (/** @type {number[]} */ v) =>
    `(${v.map((x) => String(x).replace("-", "−")).join(", ")})`;
})();
