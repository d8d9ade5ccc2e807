// Writing a target: the likeliest sequences, by beam search.
"use strict";

/** @typedef {{ids: number[], score: number}} Beam `score` is the log-probability */

const LiveSearch = (() => {
  /**
   * Log-probabilities of the next token.
   *
   * @param {Float32Array} logits
   */
  function logSoftmax(logits) {
    let largest = -Infinity;
    for (const x of logits) largest = Math.max(largest, x);
    let sum = 0;
    for (const x of logits) sum += Math.exp(x - largest);
    const total = largest + Math.log(sum);
    return logits.map((x) => x - total);
  }

  /**
   * Keep the `width` likeliest beginnings at every step. A sequence that has ended is set aside; the
   * search is over when no beginning can overtake those kept, since scores only fall.
   *
   * It is a generator, so that a page can breathe between two steps.
   *
   * @param {(ids: number[]) => Float32Array} step logits of the next token
   * @param {number} width
   * @param {{start: number, end: number, pad: number, most: number}} tokens
   * @returns {Generator<void, Beam[]>} best first, without the start token, up to the end token
   */
  function* beams(step, width, { start, end, pad, most }) {
    /** @type {Beam[]} */
    let open = [{ ids: [start], score: 0 }];
    /** @type {Beam[]} */
    let kept = [];
    const best = (/** @type {Beam[]} */ found) =>
      found.sort((a, b) => b.score - a.score).slice(0, width);
    for (let n = 0; n < most && open.length; n++) {
      /** @type {Beam[]} */
      const next = [];
      for (const { ids, score } of open) {
        const logits = step(ids);
        logits[pad] = -Infinity; // padding is no token
        const chances = logSoftmax(logits);
        kept.push({ ids: [...ids, end], score: score + chances[end] });
        chances.forEach((chance, id) => {
          if (id !== end && id !== pad) next.push({ ids: [...ids, id], score: score + chance });
        });
        yield;
      }
      kept = best(kept);
      open = best(next);
      if (kept.length === width && kept[width - 1].score >= open[0].score) break;
    }
    return kept.map(({ ids, score }) => ({ ids: ids.slice(1), score }));
  }

  /**
   * The likeliest token at every step, and never a second thought.
   *
   * @param {(ids: number[]) => Float32Array} step
   * @param {{start: number, end: number, pad: number, most: number}} tokens
   * @returns {number[]} up to the end token
   */
  function greedy(step, { start, end, pad, most }) {
    const ids = [start];
    while (ids.length <= most && ids[ids.length - 1] !== end) {
      const logits = step(ids);
      logits[pad] = -Infinity;
      ids.push(logits.indexOf(Math.max(...logits)));
    }
    return ids.slice(1);
  }

  return { beams, greedy };
})();
