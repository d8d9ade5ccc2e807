// Pictures of numbers: curves, bars, attention maps, and the table that stands behind each.
"use strict";

const LivePictures = (() => {
  const { h, paint, shade, number } = LiveUI;
  const CELL = 12;
  const SLICE = 512; // cells that a table takes at once
  const REST = 250; // milliseconds

  /**
   * @param {string} tag
   * @param {Record<string, any>} attributes
   * @param {string} [text]
   */
  function svg(tag, attributes, text = "") {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) {
      element.setAttribute(name, String(value));
    }
    element.textContent = text;
    return element;
  }

  /**
   * @param {number} width
   * @param {number} height
   * @param {string} label
   * @param {SVGElement[]} parts
   */
  function picture(width, height, label, parts) {
    const element = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, role: "img" });
    element.setAttribute("aria-label", label);
    element.append(...parts);
    return element;
  }

  /** @param {Record<string, any>} attributes */
  const line = (attributes) => svg("line", { stroke: "currentColor", ...attributes });

  /**
   * Curves over the steps of a training, and where we are. Told apart by their dashes.
   *
   * @param {string} title
   * @param {[string, [number, number][]][]} curves name and points
   * @param {number} most end of the axis
   * @param {number} here the current step
   */
  function curves(title, curves, most, here) {
    const [width, height] = [280, 130];
    const end = Math.max(...curves.flatMap(([, points]) => points.map(([step]) => step)));
    const x = (/** @type {number} */ step) => 26 + ((width - 36) * step) / end;
    const y = (/** @type {number} */ value) => height - 18 - ((height - 26) * value) / most;
    const parts = [
      line({ x1: x(0), x2: x(end), y1: y(0), y2: y(0), "stroke-opacity": 0.4 }),
      svg("text", { x: 22, y: y(most) + 4, "text-anchor": "end", "font-size": 10 }, `${most}`),
      svg("text", { x: 22, y: y(0) + 3, "text-anchor": "end", "font-size": 10 }, "0"),
      svg(
        "text",
        { x: x(end), y: height - 4, "text-anchor": "end", "font-size": 10 },
        `step ${end}`,
      ),
      line({ x1: x(here), x2: x(here), y1: y(most), y2: y(0), "stroke-width": 2 }),
    ];
    const keys = curves.map(([name, points], i) => {
      const look = { fill: "none", stroke: "currentColor", "stroke-width": 1.6 };
      const dash = ["none", "5 3", "1 3"][i];
      const d = points.map(
        ([step, v], j) => `${j ? "L" : "M"}${x(step).toFixed(1)} ${y(v).toFixed(1)}`,
      );
      parts.push(svg("path", { ...look, d: d.join(""), "stroke-dasharray": dash }));
      const sample = picture(28, 6, "", [
        svg("path", { ...look, d: "M0 3H28", "stroke-dasharray": dash }),
      ]);
      sample.setAttribute("aria-hidden", "true");
      return h("span", { class: "live-key" }, sample, name);
    });
    const words = curves.map(([name, points]) => `${name}: ${number(at(points, here))}`);
    const label = `${title}. At step ${here}, ${words.join("; ")}.`;
    const heading = h("p", { class: "live-chart-title" }, title);
    return h("div", {}, heading, picture(width, height, label, parts), ...keys);
  }

  /**
   * A curve's value at a step that was measured.
   *
   * @param {[number, number][]} points
   * @param {number} step
   */
  const at = (points, step) => points.find(([known]) => known === step)?.[1] ?? Number.NaN;

  /**
   * A bar a letter; filled from `from` on, hollow before.
   *
   * @param {string[]} letters
   * @param {number[]} values 0 to 1
   * @param {number} from
   */
  function bars(letters, values, from) {
    const wide = CELL + 2;
    const parts = values.flatMap((value, i) => [
      svg("rect", {
        x: 28 + i * wide + 2,
        y: 78 - 70 * value,
        width: wide - 4,
        height: 70 * value,
        fill: i < from ? "none" : "currentColor",
        stroke: "currentColor",
      }),
      svg(
        "text",
        { x: 28 + (i + 0.5) * wide, y: 92, "text-anchor": "middle", "font-size": 11 },
        letters[i],
      ),
    ]);
    const right = 28 + values.length * wide;
    const scale = [
      line({ x1: 26, x2: right, y1: 78, y2: 78, "stroke-opacity": 0.4 }),
      line({ x1: 26, x2: right, y1: 8, y2: 8, "stroke-opacity": 0.2 }),
      svg("text", { x: 22, y: 12, "text-anchor": "end", "font-size": 10 }, "1"),
      svg("text", { x: 22, y: 81, "text-anchor": "end", "font-size": 10 }, "0"),
    ];
    const label = `Bars of ${values.length} probabilities; the table holds the same.`;
    return picture(right + 4, 98, label, [...scale, ...parts]);
  }

  /**
   * Queries down, keys across; what lies ahead is left out.
   *
   * @param {string} label
   * @param {string[]} tokens
   * @param {number[][]} map
   */
  function attention(label, tokens, map) {
    const parts = tokens.flatMap((token, i) => [
      svg(
        "text",
        { x: CELL - 3, y: CELL * (i + 2) - 2, "text-anchor": "end", "font-size": 11 },
        token,
      ),
      svg(
        "text",
        { x: CELL * (i + 1.5), y: CELL - 3, "text-anchor": "middle", "font-size": 11 },
        token,
      ),
    ]);
    map.forEach((row, t) => {
      // One dark strip a row, and cells only where there is something to see.
      parts.push(cell(t, 0, t + 1, 0));
      row.forEach((weight, s) => {
        if (weight > 0.02) parts.push(cell(t, s, 1, weight));
      });
    });
    const size = CELL * (tokens.length + 1);
    return picture(size, size, label, parts);
  }

  /**
   * @param {number} t
   * @param {number} s
   * @param {number} cells
   * @param {number} weight
   */
  const cell = (t, s, cells, weight) =>
    svg("rect", {
      x: CELL * (s + 1),
      y: CELL * (t + 1),
      width: CELL * cells,
      height: CELL,
      fill: shade(weight),
    });

  /** The colours of the maps, with what they stand for. @param {string} rest of the cells */
  function scale(rest) {
    const steps = [0, 0.25, 0.5, 0.75, 1].map((weight) => {
      const step = h("span", { class: "live-cell" }, String(weight));
      paint(step, weight);
      return step;
    });
    return h("p", { class: "live-scale" }, "Weight: ", ...steps, rest);
  }

  /**
   * A table behind a fold, filled only while it is open. A large one waits until the changes rest,
   * then takes a few rows at a time: what the reader does meanwhile comes first.
   *
   * @param {string} name
   */
  function fold(name) {
    const [caption, top, body] = [h("caption"), h("thead"), h("tbody")];
    const whole = h("table", { class: "live-table" }, caption, top, body);
    const place = h("div", { class: "live-grid", tabindex: 0, role: "region" }, whole);
    const title = h("summary");
    /** @type {string[]} */
    let head = [];
    /** @type {(string | number)[][]} */
    let rows = [];
    let current = -1;
    let timer = 0;
    const busy = (/** @type {boolean} */ on) => place.setAttribute("aria-busy", String(on));
    const show = (/** @type {number} */ pause) => {
      clearTimeout(timer);
      const large = rows.length * head.length > SLICE;
      busy(large && element.open);
      if (!element.open) body.replaceChildren();
      else if (large) timer = setTimeout(add, pause, 0);
      else add(0);
    };
    const add = (/** @type {number} */ first) => {
      const end = Math.min(rows.length, first + Math.ceil(SLICE / head.length));
      if (!first) top.replaceChildren(header(head));
      while (body.rows.length > rows.length) body.deleteRow(-1);
      for (let i = first; i < end; i++) {
        body.rows[i]?.remove();
        body.insertBefore(row(rows[i], i === current), body.rows[i]);
      }
      busy(end < rows.length);
      if (end < rows.length) timer = setTimeout(add, 0, end);
    };
    const element = h("details", { ontoggle: () => show(0) }, title, place);
    const fill = (
      /** @type {string[]} */ names,
      /** @type {(string | number)[][]} */ lines,
      /** @type {number} */ mark = -1,
      /** @type {string} */ called = name,
    ) => {
      title.textContent = `${called} as a table`;
      caption.textContent = called;
      place.setAttribute("aria-label", called);
      [head, rows, current] = [names, lines, mark];
      show(REST);
    };
    fill([], []);
    return { element, fill };
  }

  /** @param {string[]} head */
  const header = (head) => h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)));

  /**
   * @param {(string | number | Node)[]} cells
   * @param {boolean} [here] whether to mark it
   */
  function row([first, ...rest], here) {
    const title = h("th", { scope: "row" }, here ? `▸ ${first}` : `${first}`);
    const cells = rest.map((value) => {
      const td = h("td", { class: "live-cell" });
      td.append(typeof value === "number" ? number(value) : value);
      if (typeof value === "number") paint(td, value);
      return td;
    });
    return h("tr", here ? { "aria-current": "true" } : {}, title, ...cells);
  }

  /**
   * @param {string} name
   * @param {string[]} head
   * @param {(string | number | Node)[][]} rows
   */
  const table = (name, head, rows) =>
    h(
      "table",
      { class: "live-table" },
      h("caption", {}, name),
      h("thead", {}, header(head)),
      h("tbody", {}, ...rows.map((cells) => row(cells))),
    );

  return { svg, picture, curves, at, bars, attention, scale, fold, table };
})();
