// The two sublayers of a Transformer block: multi-head attention and the feed-forward.
//
// Names are those of the Python package, for weights and for what `trace` keeps, so that any number
// in here can be held against its twin there (tests/playground does).
"use strict";

/**
 * @typedef {object} Config
 * @property {"decoder" | "encoder-decoder" | "encoder"} family
 * @property {number} d_model
 * @property {number} n_heads
 * @property {number} [n_kv_heads]
 * @property {number} d_ff
 * @property {number} n_layers
 * @property {number} [n_decoder_layers]
 * @property {number} max_len
 * @property {"layer" | "rms"} [norm]
 * @property {number} [norm_eps]
 * @property {boolean} norm_first
 * @property {"relu" | "gelu" | "gelu-tanh" | "silu"} activation
 * @property {boolean} [gated]
 * @property {"none" | "sinusoidal" | "learned" | "rope" | "alibi"} positions
 * @property {number} [rope_base]
 * @property {"half" | "interleaved"} [rope_pairing]
 * @property {number} embedding_scale
 * @property {number} [bos_id]
 * @property {number} [eos_id]
 * @property {number} [pad_id]
 */

/** @typedef {Map<string, {shape: number[], data: Float32Array}>} Trace what went on, by name */

/**
 * @typedef {object} Run one pass
 * @property {Arena} m
 * @property {Scratch} s
 * @property {Config} c
 * @property {number} rows tokens in this pass
 * @property {number} start tokens before them, in the caches
 * @property {number} [memory] tokens of the encoder's output
 * @property {Trace} [trace]
 * @property {boolean[]} [hidden] keys that nobody may attend to; one at least stays open
 */

/** @typedef {ReturnType<typeof LiveBlocks.scratch>} Scratch */

const LiveBlocks = (() => {
  const { linear, activations, rotate, slopes } = LiveLayers;

  /**
   * @param {InstanceType<typeof LiveLayers.Plan>} plan
   * @param {Config} c
   * @param {number} vocabulary
   */
  function scratch(plan, c, vocabulary) {
    const rows = c.max_len;
    const stream = rows * c.d_model;
    const across = (rows + 7) & ~7;
    return {
      x: plan.take(stream),
      normed: plan.take(stream),
      q: plan.take(stream),
      k: plan.take(stream),
      v: plan.take(stream),
      mixed: plan.take(stream),
      sub: plan.take(stream),
      hidden: plan.take(rows * c.d_ff),
      gate: plan.take(rows * c.d_ff),
      scores: plan.take(c.n_heads * rows * across),
      across,
      logits: plan.take(rows * vocabulary),
    };
  }

  /** Keys and values are kept as the product wants them: see `keep`. */
  class Attention {
    /**
     * @param {InstanceType<typeof LiveLayers.Plan>} plan
     * @param {string} name
     * @param {Config} c
     * @param {boolean} causal
     */
    constructor(plan, name, c, causal) {
      this.name = name;
      this.causal = causal;
      this.heads = c.n_heads;
      this.groups = c.n_kv_heads ?? c.n_heads;
      this.q = plan.projection(`${name}.q_proj`);
      this.k = plan.projection(`${name}.k_proj`);
      this.v = plan.projection(`${name}.v_proj`);
      this.out = plan.projection(`${name}.out_proj`);
      this.width = this.q.columns / this.heads;
      this.room = (c.max_len + 7) & ~7;
      this.valueBlocks = Math.ceil(this.width / 8);
      /** @type {Set<number>} heads whose output counts as zero, to see what they are for */
      this.silent = new Set();
      this.keys = plan.take(this.groups * this.room * this.width);
      this.values = plan.take(this.groups * this.room * 8 * this.valueBlocks);
    }

    /**
     * Project `source` to keys and values, and write them behind those that are there.
     *
     * @param {Run} run
     * @param {number} source
     * @param {number} rows
     * @param {number} start
     * @param {boolean} turn
     */
    keep({ m, s, c, trace }, source, rows, start, turn) {
      const { groups, width, room, valueBlocks } = this;
      linear(m, this.k, source, rows, s.k);
      linear(m, this.v, source, rows, s.v);
      keepCopy(trace, m, this.k.name, s.k, [rows, groups * width]);
      keepCopy(trace, m, this.v.name, s.v, [rows, groups * width]);
      if (turn && c.positions === "rope") rotate(m, s.k, rows, groups, width, start, turns(c));
      const f = m.floats;
      for (let row = 0; row < rows; row++) {
        const at = start + row;
        for (let g = 0; g < groups; g++) {
          const from = (row * groups + g) * width;
          // Keys are the columns of q · Kᵀ: blocks of eight keys, feature by feature.
          const key = this.keys + (g * room + (at & ~7)) * width + (at & 7);
          for (let i = 0; i < width; i++) f[key + 8 * i] = f[s.k + from + i];
          // Values are the rows of weights · V: blocks of eight features, key by key.
          const value = this.values + (g * valueBlocks * room + at) * 8;
          for (let i = 0; i < width; i++) {
            f[value + (i >> 3) * room * 8 + (i & 7)] = f[s.v + from + i];
          }
        }
      }
    }

    /**
     * @param {Run} run
     * @param {number} x
     * @param {number} length how many keys there are
     */
    attend(run, x, length) {
      const { m, s, c, rows, start, trace } = run;
      const { heads, groups, width, room, valueBlocks } = this;
      linear(m, this.q, x, rows, s.q);
      keepCopy(trace, m, this.q.name, s.q, [rows, heads * width]);
      if (this.causal && c.positions === "rope")
        rotate(m, s.q, rows, heads, width, start, turns(c));
      const stream = heads * width;
      m.floats.fill(0, s.scores, s.scores + heads * rows * s.across);
      m.floats.fill(0, s.mixed, s.mixed + rows * stream);
      const blocks = (length + 7) >> 3;
      for (let h = 0; h < heads; h++) {
        const g = Math.floor((h * groups) / heads);
        const keys = this.keys + g * room * width;
        const scores = s.scores + h * rows * s.across;
        m.multiply(s.q + h * width, stream, keys, 8 * width, scores, s.across, rows, width, blocks);
      }
      this.shape(run, length);
      keepMaps(trace, m, `${this.name}.scores`, s, heads, rows, length);
      this.share(run, length);
      keepMaps(trace, m, `${this.name}.weights`, s, heads, rows, length);
      for (let h = 0; h < heads; h++) {
        const g = Math.floor((h * groups) / heads);
        const values = this.values + g * valueBlocks * room * 8;
        const weights = s.scores + h * rows * s.across;
        const mixed = s.mixed + h * width;
        m.multiply(weights, s.across, values, room * 8, mixed, stream, rows, length, valueBlocks);
      }
      for (const h of this.silent) {
        for (let at = s.mixed + h * width; at < s.mixed + rows * stream; at += stream) {
          m.floats.fill(0, at, at + width);
        }
      }
      keepCopy(trace, m, `${this.name}.mixed`, s.mixed, [rows, stream]);
      linear(m, this.out, s.mixed, rows, s.sub);
      keepCopy(trace, m, this.out.name, s.sub, [rows, c.d_model]);
    }

    /**
     * Scale the products, lean them by distance (ALiBi), and shut what lies ahead or is hidden.
     *
     * @param {Run} run
     * @param {number} length
     */
    shape({ m, s, c, rows, start, hidden }, length) {
      const f = m.floats;
      const scale = this.width ** -0.5;
      const lean = this.causal && c.positions === "alibi" ? slopes(this.heads) : null;
      for (let h = 0; h < this.heads; h++) {
        for (let t = 0; t < rows; t++) {
          const at = s.scores + (h * rows + t) * s.across;
          const seen = this.causal ? start + t + 1 : length;
          for (let i = 0; i < seen; i++) {
            f[at + i] = f[at + i] * scale - (lean ? lean[h] * (start + t - i) : 0);
          }
          for (let i = seen; i < length; i++) f[at + i] = -Infinity;
          if (hidden) for (let i = 0; i < seen; i++) if (hidden[i]) f[at + i] = -Infinity;
        }
      }
    }

    /**
     * Softmax of each row.
     *
     * @param {Run} run
     * @param {number} length
     */
    share({ m, s, rows, start }, length) {
      const f = m.floats;
      for (let row = 0; row < this.heads * rows; row++) {
        const at = s.scores + row * s.across;
        const end = at + (this.causal ? start + (row % rows) + 1 : length);
        let largest = -Infinity;
        for (let i = at; i < end; i++) if (f[i] > largest) largest = f[i];
        let sum = 0;
        for (let i = at; i < end; i++) sum += f[i] = Math.exp(f[i] - largest);
        for (let i = at; i < end; i++) f[i] /= sum;
        f.fill(0, end, at + length);
      }
    }
  }

  class FeedForward {
    /**
     * @param {InstanceType<typeof LiveLayers.Plan>} plan
     * @param {string} name
     * @param {Config} c
     */
    constructor(plan, name, c) {
      this.name = name;
      this.gate = c.gated ? plan.projection(`${name}.gate_proj`) : null;
      this.up = plan.projection(`${name}.up_proj`);
      this.down = plan.projection(`${name}.down_proj`);
      this.activate = activations[c.activation];
    }

    /**
     * @param {Run} run
     * @param {number} x
     */
    run({ m, s, c, rows, trace }, x) {
      const n = rows * c.d_ff;
      linear(m, this.up, x, rows, s.hidden);
      keepCopy(trace, m, this.up.name, s.hidden, [rows, c.d_ff]);
      if (this.gate) {
        linear(m, this.gate, x, rows, s.gate);
        keepCopy(trace, m, this.gate.name, s.gate, [rows, c.d_ff]);
        this.activate(m.floats, s.gate, n);
        for (let i = 0; i < n; i++) m.floats[s.hidden + i] *= m.floats[s.gate + i];
      } else {
        this.activate(m.floats, s.hidden, n);
      }
      keepCopy(trace, m, `${this.name}.hidden`, s.hidden, [rows, c.d_ff]);
      linear(m, this.down, s.hidden, rows, s.sub);
      keepCopy(trace, m, this.down.name, s.sub, [rows, c.d_model]);
    }
  }

  /**
   * Copy what stands at a place, if anybody wants it.
   *
   * @param {Trace | undefined} trace
   * @param {Arena} m
   * @param {string} name
   * @param {number} at
   * @param {number[]} shape
   */
  function keepCopy(trace, m, name, at, shape) {
    const size = shape.reduce((product, n) => product * n, 1);
    trace?.set(name, { shape, data: m.floats.slice(at, at + size) });
  }

  /**
   * The same for scores and weights, whose rows stand further apart than they are long.
   *
   * @param {Trace | undefined} trace
   * @param {Arena} m
   * @param {string} name
   * @param {Scratch} s
   * @param {number} heads
   * @param {number} rows
   * @param {number} length
   */
  function keepMaps(trace, m, name, s, heads, rows, length) {
    if (!trace) return;
    const data = new Float32Array(heads * rows * length);
    for (let row = 0; row < heads * rows; row++) {
      const at = s.scores + row * s.across;
      data.set(m.floats.subarray(at, at + length), row * length);
    }
    trace.set(name, { shape: [heads, rows, length], data });
  }

  /**
   * @param {Config} c
   * @returns {{base: number, pairing: "half" | "interleaved"}}
   */
  const turns = (c) => ({ base: c.rope_base ?? 10000, pairing: c.rope_pairing ?? "half" });

  return { Attention, FeedForward, scratch, keepCopy };
})();
