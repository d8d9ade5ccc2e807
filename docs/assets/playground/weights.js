// A model's file, read: base64 to bytes to numbers.
//
// A file is one call, LiveWeights.add({...}), so that a page can load it with a script element, from
// a server or from a folder. attention_guide/checkpoints/javascript.py writes it and says
// what stands in it.
"use strict";

/**
 * One matrix or vector in the file.
 *
 * @typedef {object} PackedTensor
 * @property {string} name as in the Python model
 * @property {number[]} shape
 * @property {"fp16" | "int8"} dtype int8: a float32 scale for each row, then the rows
 * @property {number} at first byte
 */

/**
 * @typedef {object} ModelFile
 * @property {string} name
 * @property {Record<string, any>} config sizes and choices, see model.js
 * @property {string[]} vocabulary token of each id
 * @property {[string, string][]} [merges] of byte-level BPE, in order
 * @property {Record<string, number>} [specials] their ids
 * @property {PackedTensor[]} tensors
 * @property {string} data base64
 * @property {string} card the model card
 * @property {Record<string, any>} rounding the loss before and after
 * @property {Record<string, string>} [snapshots] base64 of the same tensors, by step of training
 * @property {any} [training] what was measured on the way
 */

/** @typedef {{shape: number[], data: Float32Array}} Tensor */

const LiveWeights = (() => {
  /** @type {Map<string, ModelFile>} */
  const files = new Map();

  /** @param {ModelFile} file */
  function add(file) {
    files.set(file.name, file);
  }

  /** @param {string} name */
  const get = (name) => files.get(name);

  /**
   * The numbers of a file, by name.
   *
   * @param {ModelFile} file
   */
  const read = (file) => unpack(fromBase64(file.data), file.tensors);

  /**
   * @param {Uint8Array} bytes
   * @param {PackedTensor[]} tensors
   * @returns {Map<string, Tensor>}
   */
  function unpack(bytes, tensors) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const found = new Map();
    for (const { name, shape, dtype, at } of tensors) {
      const data = new Float32Array(shape.reduce((product, n) => product * n, 1));
      if (dtype === "fp16") {
        for (let i = 0; i < data.length; i++) data[i] = half(view.getUint16(at + 2 * i, true));
      } else {
        const rows = shape.length > 1 ? shape[0] : 1;
        const width = data.length / rows;
        for (let row = 0; row < rows; row++) {
          const scale = view.getFloat32(at + 4 * row, true);
          const start = at + 4 * rows + row * width;
          for (let i = 0; i < width; i++) {
            data[row * width + i] = scale * view.getInt8(start + i);
          }
        }
      }
      found.set(name, { shape, data });
    }
    return found;
  }

  /**
   * The number that 16 bits stand for: a sign, five bits of exponent, ten of fraction.
   *
   * @param {number} bits
   */
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  /** @param {string} text */
  function fromBase64(text) {
    const letters = atob(text);
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    return bytes;
  }

  return { add, get, read, unpack, half };
})();
