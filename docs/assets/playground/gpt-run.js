// One text in a language model: read once, then token by token from the cache, with what to look at.
"use strict";

const LiveGPT = (() => {
  class Run {
    /** @param {InstanceType<typeof LiveModel.Model>} model */
    constructor(model) {
      this.model = model;
      /** @type {number[]} */
      this.ids = [];
      /** @type {Float32Array[][]} layer, query: heads × keys */
      this.rows = [];
      /** @type {Float32Array} of the token after the last */
      this.logits = new Float32Array();
      /** @type {Float32Array[]} logits of the last token, before the first block and after each */
      this.lens = [];
    }

    /**
     * Start anew: all tokens in one pass.
     *
     * @param {number[]} ids
     */
    read(ids) {
      this.model.truncate(0);
      this.ids = [];
      this.rows = this.model.decoder.blocks.map(() => []);
      this.extend(ids);
    }

    /**
     * Only the new tokens pass through the model: the cache has the others.
     *
     * @param {number[]} ids
     */
    extend(ids) {
      /** @type {Trace} */
      const trace = new Map();
      this.logits = this.model.extend(ids, { trace, last: true });
      this.ids.push(...ids);
      this.rows.forEach((rows, layer) => {
        const map = trace.get(`blocks.${layer}.self_attention.weights`);
        if (map) rows.push(...queries(map.shape, map.data));
      });
      this.lens = ["embedded", ...this.rows.map((_, layer) => `blocks.${layer}`)].map((name) => {
        const stream = trace.get(name)?.data ?? new Float32Array();
        return this.model.readOut(stream.slice(-this.model.config.d_model));
      });
    }

    /** The weights of each layer: heads × queries × keys, nothing above the diagonal. */
    maps() {
      const n = this.ids.length;
      const heads = this.model.config.n_heads;
      return this.rows.map((rows) => {
        const map = new Float32Array(heads * n * n);
        rows.forEach((row, t) => {
          const length = row.length / heads;
          for (let head = 0; head < heads; head++) {
            map.set(row.subarray(head * length, (head + 1) * length), (head * n + t) * n);
          }
        });
        return map;
      });
    }

    /** Bytes of keys and values: two rows a token and layer, four bytes a number. */
    get cacheBytes() {
      const { d_model, n_layers } = this.model.config;
      return this.ids.length * n_layers * 2 * d_model * 4;
    }
  }

  /**
   * A pass's weights, a row a query: heads × keys.
   *
   * @param {number[]} shape heads, queries, keys
   * @param {Float32Array} data
   */
  function queries([heads, rows, keys], data) {
    return Array.from({ length: rows }, (_, t) => {
      const row = new Float32Array(heads * keys);
      for (let head = 0; head < heads; head++) {
        const at = (head * rows + t) * keys;
        row.set(data.subarray(at, at + keys), head * keys);
      }
      return row;
    });
  }

  return { Run };
})();
