// What the live figures share: elements, tables of cells, a question first, links that carry state.
"use strict";

/**
 * What a figure hands to its frame.
 *
 * @typedef {object} Figure
 * @property {string} title
 * @property {string} about what it computes, in a sentence
 * @property {Question} question
 * @property {HTMLElement} body shown once the question is answered
 * @property {() => void} reset
 * @property {() => unknown} state what a link has to carry, as JSON
 */

/**
 * @typedef {object} Question
 * @property {string} text
 * @property {string[]} choices
 * @property {number} answer index of the right one
 * @property {string} why shown with the answer
 */

const LiveUI = (() => {
  /** @type {Record<string, (saved: unknown) => Figure>} */
  const figures = {};
  let count = 0;

  /**
   * An element. Text becomes text, never HTML.
   *
   * @template {keyof HTMLElementTagNameMap} T
   * @param {T} tag
   * @param {Record<string, any>} [attributes] `on…` are listeners, the rest attributes
   * @param {(Node | string)[]} children
   * @returns {HTMLElementTagNameMap[T]}
   */
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
    }
    element.append(...children);
    return element;
  }

  const unique = () => `live-${++count}`;

  /**
   * @param {string} name
   * @param {(saved: unknown) => Figure} make
   */
  const define = (name, make) => {
    figures[name] = make;
  };

  /**
   * Build a figure in its place, and hide the still one that stood there.
   *
   * @param {string} name
   * @param {HTMLElement} place
   */
  function mount(name, place) {
    const saved = stateOf(name, location.search);
    const figure = figures[name](saved);
    const heading = unique();
    const status = h("p", { class: "live-status", role: "status" });
    const link = h("input", {
      class: "live-link",
      readonly: true,
      hidden: true,
      "aria-label": "Link to this state",
    });
    const address = () => {
      const url = new URL(location.href);
      url.search = new URLSearchParams({ [name]: JSON.stringify(figure.state()) }).toString();
      url.hash = place.id;
      return url.href;
    };
    const onclick = () => copyLink(address(), link, status);
    const share = h("button", { type: "button", onclick }, "Link to this state");
    const reset = h("button", { type: "button" }, "Reset");
    reset.onclick = () => {
      figure.reset();
      link.hidden = true;
      status.textContent = "Reset.";
    };
    const group = { tabindex: -1, role: "group", "aria-labelledby": heading };
    const body = h("div", { class: "live-body", ...group }, figure.body);
    // Whatever changes the state changes what is shown: a link to what was is taken away.
    new MutationObserver(() => {
      if (link.hidden || link.value === address()) return;
      link.hidden = true;
      status.textContent = "";
    }).observe(body, { subtree: true, childList: true, attributes: true, characterData: true });
    const frame = h(
      "section",
      { class: "live", "aria-labelledby": heading },
      h("p", { class: "live-title", id: heading }, figure.title),
      h("p", { class: "live-about" }, figure.about),
      ask(figure.question, body, saved !== undefined),
      body,
      h("div", { class: "live-foot" }, reset, share, link),
      status,
    );
    const { bottom } = place.getBoundingClientRect();
    for (const still of place.querySelectorAll("figure")) still.hidden = true;
    place.prepend(frame);
    // A reader who is below it, led there by a link perhaps, isn't moved away.
    if (bottom < innerHeight / 2) {
      scrollBy({ top: place.getBoundingClientRect().bottom - bottom, behavior: "instant" });
    }
  }

  /**
   * The question that comes first. Answering it, or passing, shows the body.
   *
   * @param {Question} question
   * @param {HTMLElement} body
   * @param {boolean} known the reader came by a link that shows a state
   */
  function ask({ text, choices, answer, why }, body, known) {
    const verdict = h("p", { class: "live-verdict", role: "status" });
    const name = unique();
    body.hidden = !known;
    const show = (/** @type {string} */ words) => {
      body.hidden = false;
      pass.hidden = true;
      verdict.textContent = words;
    };
    const pass = h("button", { type: "button", hidden: known }, "Show me");
    pass.onclick = () => {
      show(`${choices[answer]}. ${why}`);
      body.focus({ preventScroll: true }); // the button is gone
    };
    const options = choices.map((choice, i) => {
      const words = i === answer ? `Right: ${choice}. ${why}` : `No: ${choices[answer]}. ${why}`;
      const radio = h("input", { type: "radio", name, onchange: () => show(words) });
      return h("label", {}, radio, choice);
    });
    return h(
      "fieldset",
      { class: "live-question" },
      h("legend", {}, "First guess: ", text),
      h("div", { class: "live-choices" }, ...options, pass),
      verdict,
    );
  }

  /**
   * What a link says about a figure; undefined where it says nothing that can be read.
   *
   * @param {string} name
   * @param {string} search
   * @returns {unknown}
   */
  function stateOf(name, search) {
    const text = new URLSearchParams(search).get(name);
    if (text === null || text.length > 4000) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  /**
   * @param {string} address
   * @param {HTMLInputElement} field
   * @param {HTMLElement} status
   */
  async function copyLink(address, field, status) {
    field.value = address;
    field.hidden = false;
    field.select();
    try {
      await navigator.clipboard.writeText(address);
      status.textContent = "The link is copied.";
    } catch {
      status.textContent = "Copy the link from the field.";
    }
  }

  /**
   * A slider with its name and its value in words.
   *
   * @param {string} name
   * @param {{min: number, max: number, step?: number, value: number}} range
   * @param {(value: number) => void} changed
   * @param {(value: number) => string} [words]
   */
  function slider(name, range, changed, words = String) {
    const output = h("output", {}, words(range.value));
    const input = h("input", { type: "range", ...range });
    const tell = () => {
      output.textContent = words(Number(input.value));
      input.setAttribute("aria-valuetext", words(Number(input.value)));
    };
    input.addEventListener("input", () => {
      tell();
      changed(Number(input.value));
    });
    tell();
    const set = (/** @type {number} */ value) => {
      input.value = String(value);
      tell();
    };
    return { element: h("label", { class: "live-slider" }, name, input, output), set };
  }

  /**
   * @param {string} name
   * @param {string[]} choices
   * @param {(index: number) => void} changed
   */
  function select(name, choices, changed) {
    const id = unique();
    const options = choices.map((choice) => h("option", {}, choice));
    const input = h("select", { id, onchange: () => changed(input.selectedIndex) }, ...options);
    const set = (/** @type {number} */ index) => {
      input.selectedIndex = index;
    };
    const label = h("label", { for: id }, name);
    return { element: h("span", { class: "live-field" }, label, input), set };
  }

  /**
   * @param {string} name
   * @param {(on: boolean) => void} changed
   */
  function checkbox(name, changed) {
    const input = h("input", { type: "checkbox", onchange: () => changed(input.checked) });
    const set = (/** @type {boolean} */ on) => {
      input.checked = on;
    };
    return { element: h("label", {}, input, name), set };
  }

  /**
   * A table whose cells are buttons. One of them is in the tab order; arrows move between them.
   *
   * @param {string} caption
   * @param {string[]} rows
   * @param {string[]} columns
   * @param {(row: number, column: number) => void} pressed
   */
  function grid(caption, rows, columns, pressed) {
    const cells = rows.map((_, t) =>
      columns.map((_, s) =>
        h("button", { type: "button", tabindex: t + s ? -1 : 0, onclick: () => press(t, s) }),
      ),
    );
    const press = (/** @type {number} */ t, /** @type {number} */ s) => {
      focus(t, s);
      pressed(t, s);
    };
    const focus = (/** @type {number} */ t, /** @type {number} */ s) => {
      for (const cell of cells.flat()) cell.tabIndex = -1;
      cells[t][s].tabIndex = 0;
      cells[t][s].focus();
    };
    const table = h(
      "table",
      { class: "live-table" },
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, h("td"), ...columns.map((c) => h("th", { scope: "col" }, c)))),
      h(
        "tbody",
        {},
        ...cells.map((line, t) =>
          h("tr", {}, h("th", { scope: "row" }, rows[t]), ...line.map((cell) => h("td", {}, cell))),
        ),
      ),
    );
    table.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      const at = cells.flat().indexOf(/** @type {any} */ (event.target));
      if (!step || at < 0) return;
      event.preventDefault();
      const inside = (/** @type {number} */ i, /** @type {number} */ n) =>
        Math.max(0, Math.min(n - 1, i));
      const t = Math.floor(at / columns.length);
      const s = at % columns.length;
      focus(inside(t + step[0], rows.length), inside(s + step[1], columns.length));
    });
    return { element: h("div", { class: "live-grid" }, table), cells };
  }

  /** @type {Record<string, [number, number]>} */
  const STEPS = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    Home: [0, -99],
    End: [0, 99],
  };

  // Ten stops of cividis, the map of the book's figures.
  const CIVIDIS = [
    [0, 34, 78],
    [18, 53, 112],
    [59, 73, 108],
    [87, 93, 109],
    [112, 113, 115],
    [138, 134, 120],
    [165, 156, 116],
    [195, 180, 105],
    [225, 204, 85],
    [254, 232, 56],
  ];

  /**
   * The colour of a weight from 0 to 1: red, green and blue.
   *
   * @param {number} weight
   */
  function cividis(weight) {
    const place = Math.max(0, Math.min(1, weight)) * (CIVIDIS.length - 1);
    const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
    return CIVIDIS[low].map((c, i) => Math.round(c + (place - low) * (CIVIDIS[low + 1][i] - c)));
  }

  /** @param {number} weight */
  const shade = (weight) => `rgb(${cividis(weight).join(" ")})`;

  /**
   * Colour a cell by a weight from 0 to 1, with letters that can be read on it.
   *
   * @param {HTMLElement} cell
   * @param {number} weight
   */
  function paint(cell, weight) {
    cell.style.background = shade(weight);
    cell.style.color = luminance(cividis(weight)) > 0.179 ? "#000" : "#fff"; // where both contrast alike
  }

  /**
   * Relative luminance, as WCAG 2.2 defines it.
   *
   * @param {number[]} colour
   */
  function luminance(colour) {
    const [red, green, blue] = colour.map((c) =>
      c <= 10 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  /**
   * A number as the book writes it: a real minus, no minus before zero.
   *
   * @param {number} x
   * @param {number} [digits]
   */
  function number(x, digits = 2) {
    if (x === -Infinity) return "−∞";
    const text = x.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  }

  return {
    h,
    unique,
    define,
    mount,
    slider,
    select,
    checkbox,
    grid,
    paint,
    shade,
    number,
  };
})();
