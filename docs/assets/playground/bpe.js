// Byte-level BPE: any text as bytes, and the pairs of pieces that occur often as one id.
"use strict";

const LiveBPE = (() => {
  // GPT-2's cut into words, numbers and marks: no merge crosses it. The spaces are Unicode's, of
  // which \s has one too many and one too few.
  const S = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
  const WORDS = new RegExp(
    `'(?:s|t|re|ve|m|ll|d)| ?\\p{L}+| ?\\p{N}+| ?[^${S}\\p{L}\\p{N}]+|[${S}]+(?![^${S}])|[${S}]+`,
    "gu",
  );

  // The files write each byte as one printable character: those of Latin-1 that print as themselves,
  // the others as the characters from U+0100 on.
  const BYTE_OF = new Map();
  for (let byte = 0, other = 256; byte < 256; byte++) {
    const prints = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    BYTE_OF.set(String.fromCharCode(prints ? byte : other++), byte);
  }

  class BPE {
    /** @param {ModelFile} file with `merges` and `specials` */
    constructor({ vocabulary, merges = [], specials = {} }) {
      const ids = new Map(vocabulary.map((piece, id) => [piece, id]));
      const id = (/** @type {string} */ piece) => /** @type {number} */ (ids.get(piece));
      const special = new Set(Object.values(specials));
      this.size = vocabulary.length;
      this.bytes = vocabulary.map((piece, i) =>
        special.has(i) ? [] : Array.from(piece, (letter) => BYTE_OF.get(letter)),
      );
      /** @type {number[]} id of each byte */
      this.ofByte = [];
      for (const [letter, byte] of BYTE_OF) this.ofByte[byte] = id(letter);
      /** @type {Map<number, {rank: number, made: number}>} */
      this.pairs = new Map();
      merges.forEach(([a, b], rank) => {
        const pair = id(a) * this.size + id(b);
        if (!this.pairs.has(pair)) this.pairs.set(pair, { rank, made: id(a + b) });
      });
    }

    /**
     * @param {string} text half a surrogate pair becomes U+FFFD
     * @returns {number[]}
     */
    encode(text) {
      return (text.match(WORDS) ?? []).flatMap((word) => this.merge(word));
    }

    /**
     * Merge the pair learned first, the leftmost of its kind, until no pair is known.
     *
     * @param {string} word
     */
    merge(word) {
      const ids = Array.from(new TextEncoder().encode(word), (byte) => this.ofByte[byte]);
      const pairAt = (/** @type {number} */ i) => this.pairs.get(ids[i] * this.size + ids[i + 1]);
      const rankAt = (/** @type {number} */ i) => pairAt(i)?.rank ?? Infinity; // of the last, too
      const ranks = ids.map((_, i) => rankAt(i));
      for (;;) {
        let best = 0;
        for (let i = 1; i < ids.length; i++) if (ranks[i] < ranks[best]) best = i;
        const pair = ranks[best] < Infinity && pairAt(best);
        if (!pair) return ids;
        ids.splice(best, 2, pair.made);
        ranks.splice(best, 1);
        for (const i of [best - 1, best]) if (i >= 0) ranks[i] = rankAt(i);
      }
    }

    /**
     * @param {number[]} ids
     * @returns {string} bytes that are no UTF-8, such as half a character, become U+FFFD
     */
    decode(ids) {
      const bytes = Uint8Array.from(ids.flatMap((id) => this.bytes[id]));
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    }
  }

  return { BPE };
})();
