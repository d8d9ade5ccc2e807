// The Transformer: a decoder alone, or an encoder and a decoder, one sequence at a time.
"use strict";

const LiveModel = (() => {
  const { Plan, linear, norm, add, sinusoidal } = LiveLayers;
  const { Attention, FeedForward, scratch, keepCopy } = LiveBlocks;

  /** Blocks on a residual stream, and a last norm. */
  class Stack {
    /**
     * @param {InstanceType<typeof Plan>} plan
     * @param {string} prefix "", "encoder." or "decoder."
     * @param {number} depth
     * @param {Config} c
     * @param {{causal: boolean, cross: boolean}} kind
     */
    constructor(plan, prefix, depth, c, { causal, cross }) {
      this.normName = `${prefix}norm`;
      this.norm = plan.norm(this.normName, c);
      const own = cross ? "self_attention_residual" : "attention_residual";
      this.blocks = Array.from({ length: depth }, (_, i) => {
        const name = `${prefix}blocks.${i}`;
        const residual = (/** @type {string} */ which) => {
          const found = plan.norm(`${name}.${which}.norm`, c);
          if (!found) throw new Error(`the model's file has no ${name}.${which}.norm`);
          return { name: `${name}.${which}`, norm: found };
        };
        return {
          name,
          own: new Attention(plan, `${name}.self_attention`, c, causal),
          ownResidual: residual(own),
          cross: cross ? new Attention(plan, `${name}.cross_attention`, c, false) : null,
          crossResidual: cross ? residual("cross_attention_residual") : null,
          feed: new FeedForward(plan, `${name}.feed_forward`, c),
          feedResidual: residual("feed_forward_residual"),
        };
      });
    }

    /**
     * Pass the stream at `s.x` through the stack.
     *
     * @param {Run} run
     */
    run(run) {
      const { m, s, c, rows, start, trace } = run;
      for (const block of this.blocks) {
        around(run, block.ownResidual, (x) => {
          block.own.keep(run, x, rows, start, true);
          block.own.attend(run, x, start + rows);
        });
        const { cross, crossResidual } = block;
        if (cross && crossResidual) {
          around(run, crossResidual, (x) => cross.attend(run, x, run.memory ?? 0));
        }
        around(run, block.feedResidual, (x) => block.feed.run(run, x));
        keepCopy(trace, m, block.name, s.x, [rows, c.d_model]);
      }
      if (this.norm) norm(m, this.norm, s.x, rows, s.x);
      keepCopy(trace, m, this.normName, s.x, [rows, c.d_model]);
    }
  }

  /**
   * A residual connection: pre-norm, x + f(norm(x)), or post-norm, norm(x + f(x)).
   *
   * @param {Run} run
   * @param {{name: string, norm: Norm}} residual
   * @param {(x: number) => void} sublayer reads at x, writes to `s.sub`
   */
  function around({ m, s, c, rows, trace }, residual, sublayer) {
    const n = rows * c.d_model;
    if (c.norm_first) {
      norm(m, residual.norm, s.x, rows, s.normed);
      sublayer(s.normed);
      add(m, s.x, s.sub, n);
    } else {
      sublayer(s.x);
      add(m, s.x, s.sub, n);
      norm(m, residual.norm, s.x, rows, s.x);
    }
    keepCopy(trace, m, residual.name, s.x, [rows, c.d_model]);
  }

  class Model {
    /**
     * @param {ModelFile} file
     * @param {{kernel?: Kind}} [options]
     */
    constructor(file, { kernel } = {}) {
      const c = /** @type {Config} */ (file.config);
      const tensors = LiveWeights.read(file);
      const plan = new Plan(tensors);
      const pair = c.family === "encoder-decoder";
      const target = pair ? "tgt_embedding" : "embedding";
      this.config = c;
      this.vocabulary = file.vocabulary;
      this.target = plan.tensor(`${target}.weight`).data;
      this.source = pair ? plan.tensor("src_embedding.weight").data : this.target;
      const hasOutput = tensors.has("output_proj.weight");
      this.output = plan.linear(hasOutput ? "output_proj.weight" : `${target}.weight`);
      this.places = places(c, tensors);
      this.encoder = pair ? new Stack(plan, "encoder.", c.n_layers, c, still) : null;
      const depth = c.n_decoder_layers ?? c.n_layers;
      this.decoder = pair
        ? new Stack(plan, "decoder.", depth, c, { causal: true, cross: true })
        : new Stack(plan, "", depth, c, { causal: true, cross: false });
      this.s = scratch(plan, c, this.output.columns);
      this.m = plan.seal(kernel);
      this.length = 0; // tokens in the decoder's caches
      this.memory = 0; // tokens of the encoder's output
    }

    /** Which product it takes. */
    get kernel() {
      return this.m.kind;
    }

    /**
     * Read the source: its output is kept as keys and values of every decoder layer, and the
     * decoder starts afresh.
     *
     * @param {ArrayLike<number>} ids
     * @param {{trace?: Trace}} [options]
     * @returns {Float32Array} the memory, a row a token
     */
    encode(ids, { trace } = {}) {
      if (!this.encoder) throw new Error("encode: this model has no encoder");
      const { m, s, config: c } = this;
      const rows = ids.length;
      this.embed(this.source, ids, 0);
      keepCopy(trace, m, "src_embedded", s.x, [rows, c.d_model]);
      this.encoder.run({ m, s, c, rows, start: 0, trace });
      for (const { cross } of this.decoder.blocks) {
        cross?.keep({ m, s, c, rows, start: 0, trace }, s.x, rows, 0, false);
      }
      this.memory = rows;
      this.length = 0;
      return m.floats.slice(s.x, s.x + rows * c.d_model);
    }

    /**
     * Read more tokens behind those in the cache.
     *
     * @param {ArrayLike<number>} ids
     * @param {{trace?: Trace, last?: boolean}} [options] `last`: logits of the last token only
     * @returns {Float32Array} logits of the token after each of `ids`, a row a token
     */
    extend(ids, { trace, last = false } = {}) {
      const { m, s, config: c, memory } = this;
      if (this.encoder && memory === 0) throw new Error("extend: encode a source first");
      const rows = ids.length;
      const start = this.length;
      this.embed(this.target, ids, start);
      keepCopy(trace, m, "embedded", s.x, [rows, c.d_model]);
      this.decoder.run({ m, s, c, rows, start, memory, trace });
      this.length += rows;
      const asked = last ? 1 : rows;
      linear(m, this.output, s.x + (rows - asked) * c.d_model, asked, s.logits);
      keepCopy(trace, m, "output_proj", s.logits, [asked, this.output.columns]);
      return m.floats.slice(s.logits, s.logits + asked * this.output.columns);
    }

    /**
     * What the model would say if it stopped at these rows of its residual stream: the last norm and
     * the output, and nothing else. (The logit lens.)
     *
     * @param {Float32Array} stream as `trace` keeps it, after any block
     * @returns {Float32Array} logits, a row a row
     */
    readOut(stream) {
      const { m, s, config: c, output } = this;
      const rows = stream.length / c.d_model;
      if (!(rows >= 1 && rows <= c.max_len)) throw new Error(`expected 1 to ${c.max_len} rows`);
      m.floats.set(stream, s.x);
      if (this.decoder.norm) norm(m, this.decoder.norm, s.x, rows, s.x);
      linear(m, output, s.x, rows, s.logits);
      return m.floats.slice(s.logits, s.logits + rows * output.columns);
    }

    /**
     * Let a head's output count as zero, or no longer. What the caches hold was computed before, so
     * they are emptied.
     *
     * @param {number} layer
     * @param {number} head
     * @param {boolean} [on]
     */
    silence(layer, head, on = true) {
      const { silent } = this.decoder.blocks[layer].own;
      if (on) silent.add(head);
      else silent.delete(head);
      this.truncate(0);
    }

    /**
     * Forget all but the first tokens.
     *
     * @param {number} [length]
     */
    truncate(length = 0) {
      this.length = Math.min(this.length, length);
    }

    /**
     * Rows of the embedding, scaled, plus positions where those are added.
     *
     * @param {Float32Array} table
     * @param {ArrayLike<number>} ids
     * @param {number} start
     */
    embed(table, ids, start) {
      const { d_model: d, embedding_scale: scale, max_len: room } = this.config;
      const f = this.m.floats;
      if (ids.length < 1 || start + ids.length > room) {
        throw new Error(`expected 1 to ${room} tokens; got ${start} + ${ids.length}`);
      }
      for (let t = 0; t < ids.length; t++) {
        if (!(ids[t] >= 0 && ids[t] < table.length / d)) throw new Error(`no token ${ids[t]}`);
        for (let i = 0; i < d; i++) {
          const place = this.places ? this.places[(start + t) * d + i] : 0;
          f[this.s.x + t * d + i] = table[ids[t] * d + i] * scale + place;
        }
      }
    }
  }

  const still = { causal: false, cross: false };

  /**
   * What is added to the embeddings; null for positions that work elsewhere.
   *
   * @param {Config} c
   * @param {Map<string, Tensor>} tensors
   */
  function places(c, tensors) {
    if (c.positions === "sinusoidal") return sinusoidal(c.max_len, c.d_model);
    if (c.positions !== "learned") return null;
    const table = tensors.get("positions.weight");
    if (!table) throw new Error("the model's file has no positions.weight");
    return table.data;
  }

  return { Model, Stack };
})();
