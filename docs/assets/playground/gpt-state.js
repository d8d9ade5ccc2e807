// What the GPT explorer starts from, and what a link may say of it.
"use strict";

/**
 * @typedef {Rules & {text: string, added: number[], zero: [number, number][], layer: number,
 *   head: number, draws: number}} ExplorerState `k` 0: all; `zero`: layer and head
 */

const LiveExplorer = (() => {
  const LONGEST = 300;
  const READ = 64; // tokens of the reader's text, the one before it included
  const EXAMPLES = [
    "A list is a mutable sequence. A tuple is an immutable",
    "The zyxomat is a machine. Every zyx",
    "for x in range(10):\n    print(",
    "If the object is not a string, a TypeError exception is ra",
  ];

  // The rules that take fractions: least, most, steps from 0 to 1.
  const STEPS = /** @type {const} */ ([
    ["temperature", 0.1, 2, 10],
    ["p", 0.05, 1, 20],
    ["least", 0, 0.5, 20],
  ]);

  /** @returns {ExplorerState} */
  const start = () => ({
    text: EXAMPLES[0],
    added: [],
    zero: [],
    layer: 2,
    head: 0,
    draws: 0,
    temperature: 1,
    k: 0,
    p: 1,
    least: 0,
  });

  /**
   * @param {any} saved
   * @param {Config} config
   * @param {number} size
   * @returns {ExplorerState}
   */
  function restore(saved, { n_layers, n_heads, max_len }, size) {
    const state = start();
    const whole = (/** @type {any} */ x, /** @type {number} */ end) =>
      Number.isInteger(x) && x >= 0 && x < end;
    if (typeof saved?.text === "string") state.text = saved.text.slice(0, LONGEST);
    if (Array.isArray(saved?.added)) {
      state.added = saved.added
        .filter((/** @type {any} */ id) => whole(id, size))
        .slice(0, max_len);
    }
    if (Array.isArray(saved?.zero)) {
      state.zero = saved.zero.filter(
        (/** @type {any} */ z) => whole(z?.[0], n_layers) && whole(z?.[1], n_heads),
      );
    }
    if (whole(saved?.layer, n_layers)) state.layer = saved.layer;
    if (whole(saved?.head, n_heads)) state.head = saved.head;
    if (whole(saved?.draws, 1e6)) state.draws = saved.draws;
    if (whole(saved?.k, 51)) state.k = saved.k;
    for (const [name, least, most, parts] of STEPS) {
      const x = saved?.[name];
      // What counts is what the slider can show: a whole number of its steps.
      if (typeof x === "number" && x >= least && x <= most) {
        state[name] = Math.round(x * parts) / parts;
      }
    }
    return state;
  }

  /**
   * An even number from 0 to 1 for each draw, the same after a reset. (mulberry32)
   *
   * @param {number} n
   */
  function chance(n) {
    let t = (n * 0x6d2b79f5 + 0x6d2b79f5) | 0;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  return { LONGEST, READ, EXAMPLES, start, restore, chance };
})();
