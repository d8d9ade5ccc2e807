// Memory for one model, and the matrix product that runs in it.
//
// A model's numbers all live in one arena: weights, caches, scratch. Its product comes in three kinds
// that do the same: kernel.wat as WebAssembly, with product and sum in one instruction ("fused") or
// two ("wasm"), and plain JavaScript where neither is to be had.
"use strict";

/**
 * c += a · b, the matrices where the arguments say. All places and strides count floats.
 *
 * @callback Multiply
 * @param {number} a place of the first factor, `rows` × `k`
 * @param {number} lda from one of its rows to the next
 * @param {number} b place of the packed second factor, see `pack`
 * @param {number} ldb from one of its blocks of eight columns to the next
 * @param {number} c place of the sum, `rows` × (8 · `blocks`)
 * @param {number} ldc from one of its rows to the next
 * @param {number} rows
 * @param {number} k at least 1
 * @param {number} blocks
 * @returns {void}
 */

/** @typedef {"fused" | "wasm" | "javascript"} Kind */

/**
 * @typedef {object} Arena
 * @property {Float32Array} floats everything, once `seal` has been called
 * @property {Multiply} multiply
 * @property {Kind} kind
 */

const LiveKernel = (() => {
  // kernel.wat, assembled. `python -m book.playground` writes these lines. `fused` multiplies and adds
  // in one instruction, where the browser knows it. benchmarks/playground.py measures what that gains.
  /** @type {Record<string, string>} */
  const WASM = {
    fused:
      "AGFzbQEAAAABDQFgCX9/f39/f39/fwACEAEEbGl2ZQZtZW1vcnkCAAEDAgEABwwBCG11bHRpcGx5AAAKqgYBpwYCC38LewJAA0AgCEUNASAAIQsgBCEQIAYhCQJAA0AgCUEESQ0BIAsgAWohDCAMIAFqIQ0gDSABaiEOIBAgBWohESARIAVqIRIgEiAFaiET/QwAAAAAAAAAAAAAAAAAAAAAIRf9DAAAAAAAAAAAAAAAAAAAAAAhGP0MAAAAAAAAAAAAAAAAAAAAACEZ/QwAAAAAAAAAAAAAAAAAAAAAIRr9DAAAAAAAAAAAAAAAAAAAAAAhG/0MAAAAAAAAAAAAAAAAAAAAACEc/QwAAAAAAAAAAAAAAAAAAAAAIR39DAAAAAAAAAAAAAAAAAAAAAAhHiACIQ8gByEKA0AgD/0ABAAhFSAP/QAEECEWIAv9CQIAIRQgFCAVIBf9hQIhFyAUIBYgGP2FAiEYIAz9CQIAIRQgFCAVIBn9hQIhGSAUIBYgGv2FAiEaIA39CQIAIRQgFCAVIBv9hQIhGyAUIBYgHP2FAiEcIA79CQIAIRQgFCAVIB39hQIhHSAUIBYgHv2FAiEeIAtBBGohCyAMQQRqIQwgDUEEaiENIA5BBGohDiAPQSBqIQ8gCkEBayIKDQALIBAgEP0ABAAgF/3kAf0LBAAgECAQ/QAEECAY/eQB/QsEECARIBH9AAQAIBn95AH9CwQAIBEgEf0ABBAgGv3kAf0LBBAgEiAS/QAEACAb/eQB/QsEACASIBL9AAQQIBz95AH9CwQQIBMgE/0ABAAgHf3kAf0LBAAgEyAT/QAEECAe/eQB/QsEECAOIAdBAnRrIAFqIQsgEyAFaiEQIAlBBGshCQwACwsCQANAIAlFDQH9DAAAAAAAAAAAAAAAAAAAAAAhF/0MAAAAAAAAAAAAAAAAAAAAACEYIAIhDyALIQwgByEKA0AgDP0JAgAhFCAUIA/9AAQAIBf9hQIhFyAUIA/9AAQQIBj9hQIhGCAMQQRqIQwgD0EgaiEPIApBAWsiCg0ACyAQIBD9AAQAIBf95AH9CwQAIBAgEP0ABBAgGP3kAf0LBBAgCyABaiELIBAgBWohECAJQQFrIQkMAAsLIAIgA2ohAiAEQSBqIQQgCEEBayEIDAALCws=",
    wasm: "AGFzbQEAAAABDQFgCX9/f39/f39/fwACEAEEbGl2ZQZtZW1vcnkCAAEDAgEABwwBCG11bHRpcGx5AAAKyAYBxQYCC38LewJAA0AgCEUNASAAIQsgBCEQIAYhCQJAA0AgCUEESQ0BIAsgAWohDCAMIAFqIQ0gDSABaiEOIBAgBWohESARIAVqIRIgEiAFaiET/QwAAAAAAAAAAAAAAAAAAAAAIRf9DAAAAAAAAAAAAAAAAAAAAAAhGP0MAAAAAAAAAAAAAAAAAAAAACEZ/QwAAAAAAAAAAAAAAAAAAAAAIRr9DAAAAAAAAAAAAAAAAAAAAAAhG/0MAAAAAAAAAAAAAAAAAAAAACEc/QwAAAAAAAAAAAAAAAAAAAAAIR39DAAAAAAAAAAAAAAAAAAAAAAhHiACIQ8gByEKA0AgD/0ABAAhFSAP/QAEECEWIAv9CQIAIRQgFCAV/eYBIBf95AEhFyAUIBb95gEgGP3kASEYIAz9CQIAIRQgFCAV/eYBIBn95AEhGSAUIBb95gEgGv3kASEaIA39CQIAIRQgFCAV/eYBIBv95AEhGyAUIBb95gEgHP3kASEcIA79CQIAIRQgFCAV/eYBIB395AEhHSAUIBb95gEgHv3kASEeIAtBBGohCyAMQQRqIQwgDUEEaiENIA5BBGohDiAPQSBqIQ8gCkEBayIKDQALIBAgEP0ABAAgF/3kAf0LBAAgECAQ/QAEECAY/eQB/QsEECARIBH9AAQAIBn95AH9CwQAIBEgEf0ABBAgGv3kAf0LBBAgEiAS/QAEACAb/eQB/QsEACASIBL9AAQQIBz95AH9CwQQIBMgE/0ABAAgHf3kAf0LBAAgEyAT/QAEECAe/eQB/QsEECAOIAdBAnRrIAFqIQsgEyAFaiEQIAlBBGshCQwACwsCQANAIAlFDQH9DAAAAAAAAAAAAAAAAAAAAAAhF/0MAAAAAAAAAAAAAAAAAAAAACEYIAIhDyALIQwgByEKA0AgDP0JAgAhFCAUIA/9AAQA/eYBIBf95AEhFyAUIA/9AAQQ/eYBIBj95AEhGCAMQQRqIQwgD0EgaiEPIApBAWsiCg0ACyAQIBD9AAQAIBf95AH9CwQAIBAgEP0ABBAgGP3kAf0LBBAgCyABaiELIBAgBWohECAJQQFrIQkMAAsLIAIgA2ohAiAEQSBqIQQgCEEBayEIDAALCws=",
  };

  /** @type {Kind[]} */
  const KINDS = ["fused", "wasm", "javascript"]; // the fastest first
  /** @type {Map<Kind, WebAssembly.Module | null>} */
  const compiled = new Map();

  /**
   * The kernel, compiled at the first call; null where the browser can't.
   *
   * @param {Kind} kind
   */
  function compile(kind) {
    let module = compiled.get(kind) ?? null;
    if (!compiled.has(kind)) {
      try {
        const bytes = Uint8Array.from(atob(WASM[kind]), (letter) => letter.charCodeAt(0));
        module = new WebAssembly.Module(bytes);
      } catch {
        // No WebAssembly, none with these vectors, or a policy that forbids it.
      }
      compiled.set(kind, module);
    }
    return module;
  }

  /**
   * Memory for `size` floats, all 0, and the product that runs in it.
   *
   * @param {number} size
   * @param {Kind} [wanted] the product to take, or the next that the browser has
   * @returns {Arena}
   */
  function arena(size, wanted = KINDS[0]) {
    for (const kind of KINDS.slice(KINDS.indexOf(wanted), -1)) {
      const module = compile(kind);
      if (module) return compiledArena(size, module, kind);
    }
    const floats = new Float32Array(size);
    return { floats, multiply: plainMultiply(floats), kind: "javascript" };
  }

  /**
   * @param {number} size
   * @param {WebAssembly.Module} module
   * @param {Kind} kind
   * @returns {Arena}
   */
  function compiledArena(size, module, kind) {
    const memory = new WebAssembly.Memory({ initial: Math.ceil((size * 4) / 65536) || 1 });
    const instance = new WebAssembly.Instance(module, { live: { memory } });
    const multiply = /** @type {Multiply} */ (instance.exports.multiply);
    return {
      floats: new Float32Array(memory.buffer),
      multiply: (a, lda, b, ldb, c, ldc, rows, k, blocks) =>
        multiply(a * 4, lda * 4, b * 4, ldb * 4, c * 4, ldc * 4, rows, k, blocks),
      kind,
    };
  }

  /**
   * The product in JavaScript. Tiles of 3 rows and 4 columns: what fits the registers of a browser's
   * compiler. It computes in 64 bits; telling it that 32 are enough, with Math.fround, halves the
   * speed. So three rows and more are widened once, with the columns at hand, rather than number by
   * number in the innermost loop. `| 0` says that a place is a whole number.
   *
   * @param {Float32Array} f
   * @returns {Multiply}
   */
  function plainMultiply(f) {
    let wide = new Float64Array(0);
    return (a, lda, b, ldb, c, ldc, rows, k, blocks) => {
      const tiled = rows - (rows % 3);
      if (wide.length < (tiled + 4) * k) wide = new Float64Array((tiled + 4) * k);
      // Four columns first, then the rows, in threes: of each three, the first numbers, the second…
      for (let row = 0; row < tiled; row++) {
        let to = (4 + row - (row % 3)) * k + (row % 3);
        for (let i = a + row * lda, end = i + k; i < end; i++, to += 3) wide[to] = f[i];
      }
      for (let half = 0; half < 2 * blocks; half++) {
        const column = b + (half >> 1) * ldb + (half & 1) * 4;
        const out = c + half * 4;
        if (tiled > 0)
          for (let i = 0, p = column; i < 4 * k; i += 4, p += 8) {
            wide[i] = f[p];
            wide[i + 1] = f[p + 1];
            wide[i + 2] = f[p + 2];
            wide[i + 3] = f[p + 3];
          }
        for (let row = 0; row < tiled; row += 3)
          threeRows(wide, (4 + row) * k, k, f, out + row * ldc, ldc);
        for (let row = tiled; row < rows; row++)
          oneRow(f, a + row * lda, column, out + row * ldc, k);
      }
    };
  }

  /**
   * @param {Float64Array} wide
   * @param {number} rows where the three are
   * @param {number} k
   * @param {Float32Array} f
   * @param {number} c
   * @param {number} ldc
   */
  function threeRows(wide, rows, k, f, c, ldc) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let t0 = 0;
    let t1 = 0;
    let t2 = 0;
    let t3 = 0;
    let u0 = 0;
    let u1 = 0;
    let u2 = 0;
    let u3 = 0;
    let x = rows | 0;
    const end = (4 * k) | 0;
    for (let p = 0; p < end; p = (p + 4) | 0) {
      const fx = wide[x];
      const fy = wide[(x + 1) | 0];
      const fz = wide[(x + 2) | 0];
      let w = wide[p];
      s0 += fx * w;
      t0 += fy * w;
      u0 += fz * w;
      w = wide[(p + 1) | 0];
      s1 += fx * w;
      t1 += fy * w;
      u1 += fz * w;
      w = wide[(p + 2) | 0];
      s2 += fx * w;
      t2 += fy * w;
      u2 += fz * w;
      w = wide[(p + 3) | 0];
      s3 += fx * w;
      t3 += fy * w;
      u3 += fz * w;
      x = (x + 3) | 0;
    }
    f[c] += s0;
    f[c + 1] += s1;
    f[c + 2] += s2;
    f[c + 3] += s3;
    f[c + ldc] += t0;
    f[c + ldc + 1] += t1;
    f[c + ldc + 2] += t2;
    f[c + ldc + 3] += t3;
    f[c + 2 * ldc] += u0;
    f[c + 2 * ldc + 1] += u1;
    f[c + 2 * ldc + 2] += u2;
    f[c + 2 * ldc + 3] += u3;
  }

  /**
   * @param {Float32Array} f
   * @param {number} a
   * @param {number} b
   * @param {number} c
   * @param {number} k
   */
  function oneRow(f, a, b, c, k) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let x = a | 0;
    const end = (b + 8 * k) | 0;
    for (let p = b | 0; p < end; p = (p + 8) | 0) {
      const fx = f[x];
      s0 += fx * f[p];
      s1 += fx * f[(p + 1) | 0];
      s2 += fx * f[(p + 2) | 0];
      s3 += fx * f[(p + 3) | 0];
      x = (x + 1) | 0;
    }
    f[c] += s0;
    f[c + 1] += s1;
    f[c + 2] += s2;
    f[c + 3] += s3;
  }

  /**
   * Write the transpose of `matrix` (`columns` rows of `k` floats) as the product's second factor:
   * blocks of eight columns, in each k by k. Missing columns stay 0.
   *
   * @param {Float32Array} floats where
   * @param {number} at
   * @param {Float32Array} matrix
   * @param {number} columns
   * @param {number} k
   */
  function pack(floats, at, matrix, columns, k) {
    for (let o = 0; o < columns; o++) {
      const start = at + (o >> 3) * 8 * k + (o & 7);
      for (let i = 0; i < k; i++) floats[start + 8 * i] = matrix[o * k + i];
    }
  }

  return { KINDS, arena, pack };
})();
