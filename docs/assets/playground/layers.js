// What a Transformer is made of besides attention: linear maps, norms, activations, positions.
//
// Everything works in place on the arena of kernel.js. A "place" is an index into its floats.
"use strict";

/**
 * @typedef {{name: string, at: number, bias: number, k: number, columns: number, blocks: number}}
 *   Linear
 * @typedef {{name: string, weight: number, bias: number, width: number,
 *   kind: "layer" | "rms", eps: number}} Norm
 */

const LiveLayers = (() => {
  /**
   * Hands out places in an arena that doesn't exist yet, and fills it once it does.
   */
  class Plan {
    /** @param {Map<string, {shape: number[], data: Float32Array}>} tensors */
    constructor(tensors) {
      this.tensors = tensors;
      this.size = 0;
      /** @type {((floats: Float32Array) => void)[]} */
      this.fills = [];
    }

    /**
     * Room for `n` floats. The product writes whole blocks of eight columns, so the last row of a
     * matrix may get up to seven zeros added behind its end: there is slack for them.
     *
     * @param {number} n
     */
    take(n) {
      const at = this.size;
      this.size += (n + 8 + 3) & ~3;
      return at;
    }

    /** @param {string} name */
    tensor(name) {
      const found = this.tensors.get(name);
      if (!found) throw new Error(`the model's file has no ${name}`);
      return found;
    }

    /**
     * @param {string} name
     * @returns {number} the vector's place; -1 if the file has none of that name
     */
    vector(name) {
      const found = this.tensors.get(name);
      if (!found) return -1;
      const at = this.take(found.data.length);
      this.fills.push((floats) => floats.set(found.data, at));
      return at;
    }

    /**
     * The matrix of a linear map, packed for the product, and its bias.
     *
     * @param {string} weight
     * @param {string} [bias]
     * @returns {Linear}
     */
    linear(weight, bias = "") {
      const { shape, data } = this.tensor(weight);
      const [columns, k] = shape;
      const blocks = Math.ceil(columns / 8);
      const at = this.take(blocks * 8 * k);
      this.fills.push((floats) => LiveKernel.pack(floats, at, data, columns, k));
      return {
        name: weight.replace(/\.weight$/, ""),
        at,
        bias: this.vector(bias),
        k,
        columns,
        blocks,
      };
    }

    /** @param {string} name */
    projection(name) {
      return this.linear(`${name}.weight`, `${name}.bias`);
    }

    /**
     * @param {string} name
     * @param {Config} config
     * @returns {Norm | null} null where the file has no such norm
     */
    norm(name, config) {
      const weight = this.vector(`${name}.weight`);
      if (weight < 0) return null;
      const kind = config.norm ?? "layer";
      const eps = config.norm_eps ?? (kind === "rms" ? 1e-6 : 1e-5);
      return { name, weight, bias: this.vector(`${name}.bias`), width: config.d_model, kind, eps };
    }

    /** @param {Kind} [kernel] */
    seal(kernel) {
      const arena = LiveKernel.arena(this.size, kernel);
      for (const fill of this.fills) fill(arena.floats);
      return arena;
    }
  }

  /**
   * out = x · Wᵀ + bias, `rows` rows.
   *
   * @param {Arena} m
   * @param {Linear} layer
   * @param {number} x
   * @param {number} rows
   * @param {number} out
   */
  function linear(m, { at, bias, k, columns, blocks }, x, rows, out) {
    for (let row = 0; row < rows; row++) {
      const start = out + row * columns;
      if (bias < 0) m.floats.fill(0, start, start + columns);
      else m.floats.copyWithin(start, bias, bias + columns);
    }
    m.multiply(x, k, at, 8 * k, out, columns, rows, k, blocks);
  }

  /**
   * LayerNorm, or RMSNorm, which leaves the mean where it is.
   *
   * @param {Arena} m
   * @param {Norm} layer
   * @param {number} x
   * @param {number} rows
   * @param {number} out may be x
   */
  function norm({ floats: f }, { weight, bias, width, kind, eps }, x, rows, out) {
    for (let row = 0; row < rows; row++) {
      const start = x + row * width;
      const to = out + row * width;
      let mean = 0;
      if (kind === "layer") {
        for (let i = 0; i < width; i++) mean += f[start + i];
        mean /= width;
      }
      let square = 0;
      for (let i = 0; i < width; i++) square += (f[start + i] - mean) ** 2;
      const factor = 1 / Math.sqrt(square / width + eps);
      for (let i = 0; i < width; i++) f[to + i] = (f[start + i] - mean) * factor * f[weight + i];
      if (bias >= 0) for (let i = 0; i < width; i++) f[to + i] += f[bias + i];
    }
  }

  /**
   * x += y.
   *
   * @param {Arena} m
   * @param {number} x
   * @param {number} y
   * @param {number} n
   */
  function add({ floats: f }, x, y, n) {
    for (let i = 0; i < n; i++) f[x + i] += f[y + i];
  }

  // GELU is x · Φ(x). Φ is the area under the bell curve, added up here by Simpson's rule, or what
  // GPT-2 takes for it, by tanh. Both are looked up: between the 4,097 values of a table a straight
  // line is off by 2e-6 at most.
  const REACH = 8;
  const STEPS = 4096;
  const GELU = (() => {
    const bell = (/** @type {number} */ x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
    const h = (2 * REACH) / STEPS;
    let area = 0;
    return curve((x) => {
      const here = x * area;
      area += ((bell(x) + 4 * bell(x + h / 2) + bell(x + h)) * h) / 6;
      return here;
    });
  })();
  const GELU_TANH = curve((x) => {
    return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  });

  /** @param {(x: number) => number} value asked from left to right */
  function curve(value) {
    const table = new Float32Array(STEPS + 2);
    for (let i = 0; i <= STEPS; i++) table[i] = value(-REACH + (i * 2 * REACH) / STEPS);
    return table;
  }

  /** @param {Float32Array} table */
  const lookUp =
    (table) =>
    (/** @type {Float32Array} */ f, /** @type {number} */ at, /** @type {number} */ n) => {
      for (let i = at; i < at + n; i++) {
        const x = f[i];
        if (x > REACH) continue;
        const place = (Math.max(x, -REACH) + REACH) * (STEPS / (2 * REACH));
        const whole = place | 0;
        f[i] = table[whole] + (place - whole) * (table[whole + 1] - table[whole]);
      }
    };

  /** @type {Record<string, (f: Float32Array, at: number, n: number) => void>} */
  const activations = {
    relu(f, at, n) {
      for (let i = at; i < at + n; i++) if (f[i] < 0) f[i] = 0;
    },
    gelu: lookUp(GELU),
    "gelu-tanh": lookUp(GELU_TANH),
    silu(f, at, n) {
      for (let i = at; i < at + n; i++) f[i] /= 1 + Math.exp(-f[i]);
    },
  };

  /**
   * Sines and cosines of every position: row t, column 2i holds sin(t / base^(2i/width)).
   *
   * @param {number} length
   * @param {number} width
   * @param {number} [base]
   */
  function sinusoidal(length, width, base = 10000) {
    const table = new Float32Array(length * width);
    for (let t = 0; t < length; t++) {
      for (let i = 0; i < width; i += 2) {
        const angle = t * base ** (-i / width);
        table[t * width + i] = Math.sin(angle);
        table[t * width + i + 1] = Math.cos(angle);
      }
    }
    return table;
  }

  /**
   * Turn each pair of features of each head by its position's angle.
   *
   * @param {Arena} m
   * @param {number} x rows of `heads` · `width` floats
   * @param {number} rows
   * @param {number} heads
   * @param {number} width of a head
   * @param {number} start position of the first row
   * @param {{base: number, pairing: "half" | "interleaved"}} options
   */
  function rotate({ floats: f }, x, rows, heads, width, start, { base, pairing }) {
    const pairs = width >> 1;
    const [step, gap] = pairing === "half" ? [1, pairs] : [2, 1];
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < pairs; i++) {
        const angle = (start + row) * base ** ((-2 * i) / width);
        const cos = Math.cos(angle);
        const sin = Math.sin(angle);
        for (let head = 0; head < heads; head++) {
          const a = x + (row * heads + head) * width + i * step;
          const first = f[a];
          const second = f[a + gap];
          f[a] = first * cos - second * sin;
          f[a + gap] = first * sin + second * cos;
        }
      }
    }
  }

  /**
   * ALiBi's slope of each head: powers of two for a power of two, else every other one of the next.
   *
   * @param {number} heads
   * @returns {number[]}
   */
  function slopes(heads) {
    const lower = 2 ** Math.floor(Math.log2(heads));
    const found = [];
    for (let h = 1; h <= lower; h++) found.push(2 ** ((-8 * h) / lower));
    for (let h = 1; h <= 2 * lower; h += 2) found.push(2 ** ((-4 * h) / lower));
    return found.slice(0, heads);
  }

  return { Plan, linear, norm, add, activations, sinusoidal, rotate, slopes };
})();
