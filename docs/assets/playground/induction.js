// A model of two layers at several steps of its training, and what its heads look for.
"use strict";

/**
 * @typedef {object} Head
 * @property {number} layer from 1
 * @property {number} head from 1
 * @property {number[][]} map a row a query
 * @property {number} induction NaN where nothing occurs twice
 * @property {number} previous
 */

const LiveInduction = (() => {
  /** @type {Map<number, InstanceType<typeof LiveModel.Model>>} */
  const models = new Map();

  function file() {
    const found = LiveWeights.get("induction");
    if (!found?.snapshots) throw new Error("the model isn't there");
    return { ...found, snapshots: found.snapshots };
  }

  /**
   * The model after so many steps. All share their shapes; only the numbers differ.
   *
   * @param {number} step
   */
  function model(step) {
    const known = models.get(step);
    if (known) return known;
    const { snapshots, ...rest } = file();
    const made = new LiveModel.Model({ ...rest, data: snapshots[step] });
    models.set(step, made);
    return made;
  }

  /**
   * Run the model on ids, and read off what it expected and where it looked.
   *
   * @param {number} step
   * @param {number[]} ids
   * @returns {{right: number[], heads: Head[]}} `right`: the probability that each id gave to the next
   */
  function read(step, ids) {
    const m = model(step);
    /** @type {Trace} */
    const trace = new Map();
    m.truncate(0);
    const logits = m.extend(ids, { trace });
    const width = logits.length / ids.length;
    const right = ids.slice(1).map((id, t) => {
      const row = logits.subarray(t * width, (t + 1) * width);
      return 1 / row.reduce((sum, x) => sum + Math.exp(x - row[id]), 0);
    });
    const heads = [];
    for (let layer = 0; layer < m.config.n_layers; layer++) {
      const weights = trace.get(`blocks.${layer}.self_attention.weights`);
      if (!weights) throw new Error("no attention in this model");
      for (let head = 0; head < m.config.n_heads; head++) {
        const map = ids.map((_, t) => {
          const at = (head * ids.length + t) * ids.length;
          return [...weights.data.subarray(at, at + ids.length)];
        });
        const scores = { induction: induction(map, ids), previous: previous(map) };
        heads.push({ layer: layer + 1, head: head + 1, map, ...scores });
      }
    }
    return { right, heads };
  }

  /**
   * Of the attention of all that has occurred before, the share on what came after it then.
   *
   * @param {number[][]} map
   * @param {number[]} ids
   */
  function induction(map, ids) {
    const shares = [];
    for (let t = 0; t < ids.length; t++) {
      const after = map[t].filter((_, s) => s > 0 && s <= t && ids[s - 1] === ids[t]);
      if (after.length) shares.push(after.reduce((sum, x) => sum + x));
    }
    return mean(shares);
  }

  /**
   * The share of attention on the token before.
   *
   * @param {number[][]} map
   */
  const previous = (map) => mean(map.slice(1).map((row, t) => row[t]));

  /**
   * @param {number[]} values
   * @returns {number} NaN of none
   */
  const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;

  return { file, read, induction, previous, mean };
})();
