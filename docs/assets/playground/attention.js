// Attention in a page of code: scores, mask, softmax, blend.
//
// Written to be read, for a handful of tokens. The calculator runs on it, and the fast engine of
// model.js is tested against it. Rows are queries, columns are keys.
"use strict";

/** @typedef {number[][]} Matrix rows of numbers */

const LiveAttention = (() => {
  /**
   * Dot product of each query with each key, times `scale`.
   *
   * @param {Matrix} queries
   * @param {Matrix} keys
   * @param {number} scale 1/√width in the formula of 2017
   * @returns {Matrix}
   */
  function scores(queries, keys, scale) {
    return queries.map((q) => keys.map((k) => scale * dot(q, k)));
  }

  /**
   * Shares that sum to one. A row that may attend nowhere gets zeros.
   *
   * @param {number[]} row scores
   * @param {boolean[]} [allowed] which keys may be attended to; all, when left out
   * @returns {number[]}
   */
  function softmax(row, allowed) {
    const open = row.map((score, i) => (allowed && !allowed[i] ? -Infinity : score));
    const largest = Math.max(...open);
    if (largest === -Infinity) return row.map(() => 0);
    // The largest exponent is 0: nothing can overflow.
    const powers = open.map((score) => Math.exp(score - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  }

  /**
   * Each query's blend of the values.
   *
   * @param {Matrix} weights
   * @param {Matrix} values
   * @returns {Matrix}
   */
  function blend(weights, values) {
    return weights.map((row) =>
      values[0].map((_, e) => row.reduce((sum, weight, s) => sum + weight * values[s][e], 0)),
    );
  }

  /**
   * @param {Matrix} queries
   * @param {Matrix} keys
   * @param {Matrix} values
   * @param {{scale?: number, mask?: boolean[][]}} [options] mask: true = may attend
   */
  function attend(queries, keys, values, { scale = queries[0].length ** -0.5, mask } = {}) {
    const s = scores(queries, keys, scale);
    const weights = s.map((row, t) => softmax(row, mask?.[t]));
    return { scores: s, weights, output: blend(weights, values) };
  }

  /**
   * @param {ArrayLike<number>} a
   * @param {ArrayLike<number>} b
   */
  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  return { scores, softmax, blend, attend, dot };
})();
