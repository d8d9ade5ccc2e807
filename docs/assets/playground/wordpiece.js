// WordPiece, BERT's tokenizer: the rules of attention_guide/text/wordpiece.py, once more.
"use strict";

const LiveWordPiece = (() => {
  const SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const SPECIAL = /(\[(?:PAD|UNK|CLS|SEP|MASK)\])/;
  const DROPPED = /[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu;
  const SPACE = /[\t\n\r\p{Z}]/gu;
  // Each ideograph stands for a word, without spaces between them.
  const IDEOGRAPH =
    /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;
  const MARK = /([\p{P}$+<=>^`|~])/u;
  const LONGEST = 100;

  /** Lower case, no accents, single spaces as the only space. @param {string} text */
  function clean(text) {
    const spaced = text.replace(DROPPED, "").replace(SPACE, " ").replace(IDEOGRAPH, " $& ");
    const bare = spaced.normalize("NFD").replace(/\p{Mn}/gu, "");
    // Letter by letter: a sigma at a word's end would be written otherwise.
    return Array.from(bare, (letter) => letter.toLowerCase()).join("");
  }

  /** @param {string[]} vocabulary piece of each id */
  function make(vocabulary) {
    const ids = new Map(vocabulary.map((piece, id) => [piece, id]));

    /**
     * The longest known piece, then the longest that follows.
     *
     * @param {string} word
     * @returns {string[]}
     */
    function cut(word) {
      const letters = Array.from(word);
      if (letters.length > LONGEST) return ["[UNK]"];
      const pieces = [];
      for (let start = 0, end; start < letters.length; start = end) {
        const prefix = start ? "##" : "";
        for (end = letters.length; end > start; end--) {
          if (ids.has(prefix + letters.slice(start, end).join(""))) break;
        }
        if (end === start) return ["[UNK]"];
        pieces.push(prefix + letters.slice(start, end).join(""));
      }
      return pieces;
    }

    /** The pieces of a text; specials that stand in it stay whole. @param {string} text */
    function tokenize(text) {
      return text.split(SPECIAL).flatMap((part) => {
        if (SPECIALS.includes(part)) return [part];
        const words = clean(part).split(" ");
        return words.flatMap((word) => word.split(MARK).filter(Boolean).flatMap(cut));
      });
    }

    /**
     * Ids of [CLS] text [SEP].
     *
     * @param {string} text
     * @param {number} [most] ids, the two specials included
     */
    function encode(text, most = Infinity) {
      const pieces = ["[CLS]", ...tokenize(text).slice(0, most - 2), "[SEP]"];
      return pieces.map((piece) => ids.get(piece) ?? 0);
    }

    return { tokenize, encode };
  }

  return { make };
})();
