// Every head of a model: a grid of small maps, and one of them large with its table.
"use strict";

/**
 * @typedef {object} Heads the weights of one pass
 * @property {string[]} tokens
 * @property {boolean[]} hidden tokens that are left out
 * @property {boolean} [causal] what lies ahead is hidden from everybody
 * @property {(layer: number, head: number) => boolean} [zero] heads whose output counts as zero
 * @property {Float32Array[]} layers heads × queries × keys each
 */

const LiveHeads = (() => {
  const { h, grid, shade, unique } = LiveUI;
  const { svg, picture, scale, fold } = LivePictures;
  const CELL = 14;

  /** @param {number} size */
  const canvas = (size) =>
    /** @type {CanvasRenderingContext2D} */ (
      h("canvas", { width: size, height: size }).getContext("2d", { willReadFrequently: true })
    );

  /**
   * @param {Heads} read
   * @param {number} layer
   * @param {number} head
   */
  const called = ({ zero }, layer, head) =>
    `Layer ${layer + 1}, head ${head + 1}${zero?.(layer, head) ? ", at zero" : ""}`;

  /** Red, green, blue and opacity of 256 weights. */
  function palette() {
    const context = canvas(256);
    for (let i = 0; i < 256; i++) {
      context.fillStyle = shade(i / 255);
      context.fillRect(i, 0, 1, 1);
    }
    return new Uint32Array(context.getImageData(0, 0, 256, 1).data.buffer);
  }

  /**
   * A button for each head, with its map on it.
   *
   * @param {number} layers
   * @param {number} heads
   * @param {(layer: number, head: number) => void} chosen
   */
  function overview(layers, heads, chosen) {
    const names = (/** @type {number} */ n) => Array.from({ length: n }, (_, i) => `${i + 1}`);
    const caption = "Layers down, heads across: press one";
    const { element, cells } = grid(caption, names(layers), names(heads), chosen);
    element.classList.add("live-heads");
    const all = cells.flatMap((line, layer) =>
      line.map((button, head) => {
        const context = canvas(1);
        button.append(context.canvas);
        return { layer, head, button, context };
      }),
    );
    const colours = palette();

    /** @param {Heads} read */
    function draw(read) {
      const n = read.tokens.length;
      for (const { layer, head, button, context } of all) {
        button.setAttribute("aria-label", called(read, layer, head).toLowerCase());
        button.classList.toggle("live-shut", !!read.zero?.(layer, head));
        context.canvas.width = context.canvas.height = n;
        const image = context.createImageData(n, n);
        const weights = read.layers[layer].subarray(head * n * n, (head + 1) * n * n);
        const pixels = new Uint32Array(image.data.buffer);
        weights.forEach((weight, i) => {
          if (!read.causal || i % n <= i / n) pixels[i] = colours[Math.round(weight * 255)];
        });
        context.putImageData(image, 0, 0);
      }
    }

    const mark = (/** @type {number} */ layer, /** @type {number} */ head) => {
      for (const one of all) {
        const here = one.layer === layer && one.head === head;
        one.button.setAttribute("aria-pressed", String(here));
      }
    };
    return { element, cells, draw, mark };
  }

  /** One map large, with its table, which stays open while the map changes. */
  function viewer() {
    const map = h("div");
    const table = fold("The map");
    const element = h("div");
    const show = (
      /** @type {Heads} */ read,
      /** @type {number} */ layer,
      /** @type {number} */ head,
    ) => {
      if (!element.firstChild) element.append(map, table.element);
      map.replaceChildren(...large(read, layer, head, table));
    };
    return { element, show };
  }

  /**
   * Queries down, keys across; the keys that are left out are hatched.
   *
   * @param {Heads} read
   * @param {number} layer
   * @param {number} head
   * @param {ReturnType<typeof fold>} table
   */
  function large(read, layer, head, table) {
    const { tokens, hidden, layers, causal } = read;
    const n = tokens.length;
    const name = called(read, layer, head);
    const map = tokens.map((_, t) =>
      Array.from(layers[layer].subarray((head * n + t) * n, (head * n + t + 1) * n)),
    );
    const names = tokens.map((token, t) => (hidden[t] ? `✕ ${token}` : token));
    const margin = 14 + 7 * Math.max(...names.map((text) => Math.min(16, text.length)));
    const size = n * CELL;
    const box = (
      /** @type {number} */ t,
      /** @type {number} */ s,
      /** @type {Record<string, any>} */ look,
    ) =>
      svg("rect", {
        x: margin + s * CELL,
        y: margin + t * CELL,
        width: CELL,
        height: CELL,
        ...look,
      });
    const hatch = svg("pattern", {
      id: unique(),
      width: 5,
      height: 5,
      patternUnits: "userSpaceOnUse",
    });
    hatch.append(svg("path", { d: "M0 5L5 0", stroke: "currentColor" }));
    const parts = [hatch, box(0, 0, { width: size, height: size, fill: `url(#${hatch.id})` })];
    names.forEach((label, t) => {
      parts.push(box(t, 0, { width: CELL * (causal ? t + 1 : n), fill: shade(0) }));
      const place = margin + (t + 0.5) * CELL;
      const text = { "font-size": 12, "text-anchor": "end", y: 4 };
      const word = label.slice(0, 16);
      const row = `translate(${margin - 5} ${place})`;
      const column = `translate(${place} ${margin - 5}) rotate(90)`;
      parts.push(svg("text", { ...text, transform: row }, word));
      parts.push(svg("text", { ...text, transform: column }, word));
      map[t].forEach((weight, s) => {
        if (weight >= 0.02) parts.push(box(t, s, { fill: shade(weight) }));
      });
    });
    hidden.forEach((shut, s) => {
      if (!shut) return;
      parts.push(box(0, s, { height: size, class: "live-blank" }));
      parts.push(box(0, s, { height: size, fill: `url(#${hatch.id})` }));
    });
    const label = `${name}, attention map of ${n} tokens; the table holds its numbers.`;
    const whole = picture(margin + size, margin + size, label, parts);
    const region = { class: "live-grid live-map", tabindex: 0, role: "region", "aria-label": name };
    table.fill(
      ["", ...names],
      map.map((row, t) => [
        names[t],
        ...row.map((weight, s) => ((causal && s > t) || hidden[s] ? "✕" : weight)),
      ]),
      -1,
      name,
    );
    return [h("div", region, whole), scale(` Hatched: ${causal ? "lies ahead" : "left out"}.`)];
  }

  return { overview, viewer };
})();
