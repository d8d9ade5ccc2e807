// From logits to the next token: temperature, the three filters, and a draw.
"use strict";

/** @typedef {{temperature: number, k: number, p: number, least: number}} Rules */

const LiveSampling = (() => {
  /** @param {Float32Array} logits */
  function softmax(logits) {
    let largest = -Infinity;
    for (const x of logits) largest = Math.max(largest, x);
    const shares = Float64Array.from(logits, (x) => Math.exp(x - largest));
    const sum = shares.reduce((total, x) => total + x, 0);
    return shares.map((x) => x / sum);
  }

  /**
   * Ids from the likeliest on; of equals the first comes first.
   *
   * @param {ArrayLike<number>} values
   */
  const ranked = (values) =>
    Array.from(values, (_, id) => id).sort((a, b) => values[b] - values[a] || a - b);

  /**
   * Probabilities after each rule in its turn: what the package's temperature, top_k, top_p and
   * min_p do, with 0 where a token is dropped.
   *
   * @param {Float32Array} logits
   * @param {Rules} rules `k` likeliest tokens; the smallest set that reaches `p`; those with `least`
   *   times the probability of the likeliest
   */
  function probabilities(logits, { temperature, k, p, least }) {
    const kept = logits.map((x) => x / temperature);
    const order = ranked(kept);
    for (const id of order.slice(k)) kept[id] = -Infinity;
    let shares = softmax(kept);
    let before = 0;
    for (const id of order) {
      // All of them reach 1, whatever their sum is rounded to.
      if (p < 1 && before >= p) kept[id] = -Infinity;
      before += shares[id];
    }
    shares = softmax(kept);
    const bar = least * shares[order[0]];
    shares.forEach((share, id) => {
      if (share < bar) kept[id] = -Infinity;
    });
    return softmax(kept);
  }

  /**
   * @param {Float64Array} shares
   * @param {number} at from 0 to 1, drawn evenly
   */
  function draw(shares, at) {
    let left = at;
    for (const id of ranked(shares)) {
      left -= shares[id];
      if (left < 0) return id;
    }
    return ranked(shares)[0]; // rounding left a crumb
  }

  return { softmax, ranked, probabilities, draw };
})();
