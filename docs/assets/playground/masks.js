// The mask builder: rules in, one grid out, and the code for five libraries.
"use strict";

(() => {
  const { h, grid, slider, select, checkbox } = LiveUI;
  const MOST = 8;
  const ORDERS = /** @type {const} */ (["none", "causal", "prefix"]);

  /** @typedef {MaskRules & {convention: number, inverted: boolean}} State */

  /** @returns {State} */
  const start = () => ({
    size: MOST,
    order: "causal",
    prefix: 3,
    left: MOST,
    right: MOST,
    padding: 2,
    second: 0,
    globals: [],
    convention: 0,
    inverted: false,
  });

  /**
   * @param {any} saved
   * @returns {State}
   */
  function restore(saved) {
    const state = start();
    const whole = (/** @type {any} */ x, /** @type {number} */ most) =>
      Number.isInteger(x) && x >= 0 && x <= most;
    if (ORDERS.includes(saved?.order)) state.order = saved.order;
    for (const name of /** @type {const} */ (["left", "right"])) {
      if (whole(saved?.[name], MOST)) state[name] = saved[name];
    }
    for (const name of /** @type {const} */ (["prefix", "padding", "second"])) {
      if (whole(saved?.[name], MOST - 1)) state[name] = saved[name];
    }
    if (Array.isArray(saved?.globals)) {
      const inside = saved.globals.filter((/** @type {any} */ i) => whole(i, MOST - 1));
      state.globals = [...new Set(inside)].sort();
    }
    if (whole(saved?.convention, 4)) state.convention = saved.convention;
    if (typeof saved?.inverted === "boolean") state.inverted = saved.inverted;
    return state;
  }

  LiveUI.define("masks", (saved) => {
    let state = restore(saved);
    const tokens = Array.from({ length: MOST }, (_, i) => String(i + 1));
    const table = grid("Queries down, keys across", tokens, tokens, (_, s) => toggle(s));
    table.element.classList.add("live-mask");
    const warning = h("p", { class: "live-warning", role: "status" });
    const code = h("code", { tabindex: 0, role: "region", "aria-label": "Code for this mask" });
    const copied = h("span", { role: "status" });
    const set = (/** @type {Partial<State>} */ change) => {
      Object.assign(state, change);
      draw();
    };
    const order = select("Order ", ["no order", "causal", "causal after a prefix"], (i) =>
      set({ order: ORDERS[i] }),
    );
    const all = (/** @type {number} */ x) => (x === MOST ? "all" : String(x));
    const sliders = {
      prefix: slider("Prefix ", range(MOST - 1, state.prefix), (prefix) => set({ prefix })),
      left: slider("Neighbours before ", range(MOST, state.left), (left) => set({ left }), all),
      right: slider("Neighbours after ", range(MOST, state.right), (right) => set({ right }), all),
      padding: slider("Padding ", range(MOST - 1, state.padding), (padding) => set({ padding })),
      second: slider(
        "Second document from token ",
        range(MOST - 1, state.second),
        (second) => set({ second }),
        (x) => (x ? String(x + 1) : "none"),
      ),
    };
    const inverted = checkbox("Hand it over with the wrong polarity", (on) =>
      set({ inverted: on }),
    );
    const convention = select("For ", LiveMasks.CONVENTIONS, (i) => set({ convention: i }));
    const copy = h("button", { type: "button", onclick: copyCode }, "Copy the code");

    /** @param {number} token */
    function toggle(token) {
      const others = state.globals.filter((i) => i !== token);
      set({ globals: others.length < state.globals.length ? others : [...others, token].sort() });
    }

    async function copyCode() {
      try {
        await navigator.clipboard.writeText(code.textContent ?? "");
        copied.textContent = "Copied.";
      } catch {
        getSelection()?.selectAllChildren(code);
        copied.textContent = "Selected: copy it with the keyboard.";
      }
    }

    function draw() {
      const right = LiveMasks.build(state);
      const mask = state.inverted ? right.map((row) => row.map((open) => !open)) : right;
      order.set(ORDERS.indexOf(state.order));
      for (const [name, { set }] of Object.entries(sliders))
        set(state[/** @type {"left"} */ (name)]);
      inverted.set(state.inverted);
      convention.set(state.convention);
      mask.forEach((row, t) =>
        row.forEach((open, s) => {
          const cell = table.cells[t][s];
          cell.textContent = open ? "●" : "✕";
          cell.className = open ? "" : "live-shut";
          const place = `query ${t + 1}, key ${s + 1}`;
          const special = state.globals.includes(s) ? ", a global token" : "";
          cell.setAttribute("aria-label", `${place}: ${open ? "may attend" : "hidden"}${special}`);
          cell.setAttribute("aria-pressed", String(state.globals.includes(s)));
        }),
      );
      warning.textContent = remarks(mask, state).join(" ");
      code.textContent = LiveMasks.code(state, state.convention);
    }

    draw();
    const body = h(
      "div",
      {},
      h(
        "div",
        { class: "live-controls" },
        order.element,
        ...Object.values(sliders).map((s) => s.element),
      ),
      h(
        "p",
        { class: "live-hint" },
        "Press a cell to make its key a global token, which a window doesn't shut.",
      ),
      table.element,
      h("div", { class: "live-controls" }, inverted.element),
      warning,
      h("div", { class: "live-controls" }, convention.element, copy, copied),
      h("pre", {}, code),
    );
    return {
      title: "The mask builder",
      about:
        "A mask from the rules you choose: ● may attend, ✕ is hidden. Below, the code that hands it over rightly.",
      question: {
        text: "eight tokens, the last two of them padding, under a causal mask. How many keys may the last query attend to?",
        choices: ["none", "six", "eight"],
        answer: 1,
        why: "Padding shuts keys, not queries: the last row sees the six real tokens, and nobody reads what it computes.",
      },
      body,
      reset: () => {
        state = start();
        draw();
      },
      state: () => state,
    };
  });

  /**
   * @param {number} max
   * @param {number} value
   */
  const range = (max, value) => ({ min: 0, max, step: 1, value });

  /**
   * What a reader should know of this mask.
   *
   * @param {boolean[][]} mask
   * @param {State} state
   */
  function remarks(mask, { inverted, globals, left, right, size }) {
    const said = [];
    const reason = LiveMasks.suspect(mask);
    if (reason) said.push(`This mask ${reason}: is its polarity right?`);
    else if (inverted) {
      said.push("Inverted, and nothing gives it away: a model trains on it, and learns little.");
    }
    const empty = mask.flatMap((row, t) => (row.some(Boolean) ? [] : [t + 1]));
    if (empty.length && empty.length < size) {
      said.push(`Queries that may attend nowhere: ${empty.join(", ")}.`);
    }
    if (globals.length && left === size && right === size) {
      said.push("Global tokens change nothing without a window.");
    }
    return said.length ? said : ["Nothing is odd about this mask."];
  }
})();
