// BERT: a Transformer's encoder that reads in both directions, and a vector for a whole text.
"use strict";

/**
 * What stands in the shards that book/minilm.py writes, one behind the other.
 *
 * @typedef {object} BertIndex
 * @property {Config} config
 * @property {PackedTensor[]} tensors
 * @property {number} vocabulary first byte of the pieces, a line each, up to the end
 * @property {Shard[]} shards
 */

const LiveBert = (() => {
  const { Plan, norm } = LiveLayers;
  const { scratch, keepCopy } = LiveBlocks;

  class Bert {
    /**
     * @param {BertIndex} index
     * @param {Uint8Array} bytes all shards
     * @param {{kernel?: Kind}} [options]
     */
    constructor({ config, tensors, vocabulary }, bytes, { kernel } = {}) {
      const table = tensors.find((tensor) => tensor.name === "embedding.weight");
      if (!table) throw new Error("the model's file has no embedding.weight");
      // Half of the model is this table, of which a text needs a few rows: it stays packed.
      this.rows = table.shape[0];
      this.table = bytes.slice(table.at, table.at + this.rows * (4 + table.shape[1]));
      this.vocabulary = new TextDecoder().decode(bytes.subarray(vocabulary)).split("\n");
      const plan = new Plan(
        LiveWeights.unpack(
          bytes,
          tensors.filter((other) => other !== table),
        ),
      );
      this.config = config;
      this.tokenizer = LiveWordPiece.make(this.vocabulary);
      this.places = plan.tensor("positions.weight").data;
      this.segment = plan.tensor("segment").data;
      this.norm = /** @type {Norm} */ (plan.norm("norm", config));
      this.stack = new LiveModel.Stack(plan, "encoder.", config.n_layers, config, {
        causal: false,
        cross: false,
      });
      this.s = scratch(plan, config, 0);
      this.m = plan.seal(kernel);
    }

    /**
     * Read a text. Hidden tokens are no keys in attention, and count nothing in the mean.
     *
     * @param {ArrayLike<number>} ids [CLS] … [SEP]
     * @param {{hidden?: boolean[], trace?: Trace}} [options]
     * @returns {Float32Array} the mean of the tokens' vectors, of length 1
     */
    read(ids, { hidden, trace } = {}) {
      const { m, s, config: c } = this;
      const rows = ids.length;
      this.embed(ids);
      keepCopy(trace, m, "norm", s.x, [rows, c.d_model]);
      this.stack.run({ m, s, c, rows, start: 0, hidden, trace });
      const mean = new Float32Array(c.d_model);
      for (let t = 0; t < rows; t++) {
        if (hidden?.[t]) continue;
        for (let i = 0; i < mean.length; i++) mean[i] += m.floats[s.x + t * mean.length + i];
      }
      const length = Math.sqrt(dot(mean, mean));
      return mean.map((x) => x / length);
    }

    /**
     * Token, position and segment, added up and normed.
     *
     * @param {ArrayLike<number>} ids
     */
    embed(ids) {
      const { m, s, table, rows, places, segment, config: c } = this;
      if (ids.length < 1 || ids.length > c.max_len) {
        throw new Error(`expected 1 to ${c.max_len} tokens; got ${ids.length}`);
      }
      const view = new DataView(table.buffer);
      for (let t = 0; t < ids.length; t++) {
        const id = ids[t];
        if (!(id >= 0 && id < rows)) throw new Error(`no token ${id}`);
        const scale = view.getFloat32(4 * id, true);
        const from = 4 * rows + id * c.d_model;
        const to = s.x + t * c.d_model;
        for (let i = 0; i < c.d_model; i++) {
          const token = Math.fround(scale * view.getInt8(from + i));
          m.floats[to + i] = token + places[t * c.d_model + i] + segment[i];
        }
      }
      norm(m, this.norm, s.x, ids.length, s.x);
    }
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

  /** @type {{index?: BertIndex, missing?: string}} the model of this site, or why there is none */
  const site = {};

  return { Bert, dot, site };
})();
