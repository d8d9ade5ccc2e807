// Number words in pieces: the rules of attention_guide/data/numbers.py, once more.
"use strict";

/** @typedef {"en" | "de" | "fr"} Language */

const LiveNumbers = (() => {
  const words = (/** @type {string} */ text) => text.split(" ");
  const GERMAN = words(
    "null ein eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn " +
      "fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig dreißig vierzig fünfzig sechzig " +
      "siebzig achtzig neunzig und hundert tausend",
  );
  const ENGLISH = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen " +
      "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy " +
      "eighty ninety hundred thousand and - ,",
  );
  const FRENCH = words(
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze " +
      "seize vingt vingts trente quarante cinquante soixante cent cents mille et -",
  );
  const PIECES = { en: new Set(ENGLISH), de: new Set(GERMAN), fr: new Set(FRENCH) };
  const NAMES = { en: "English", de: "German", fr: "French" };
  const LANGUAGES = /** @type {Language[]} */ (Object.keys(NAMES));

  // The longest first: "siebzehn" before "sieb…", "eins" before "ein".
  const longest = [...GERMAN].sort((a, b) => b.length - a.length);
  const MORPHEME = new RegExp(longest.join("|"), "g");
  const WORD_OR_MARK = /\p{L}+|[-,]/gu;

  /**
   * Cut number words into the pieces that the model reads; null where the text has anything else.
   *
   * @param {string} text
   * @param {Language} language
   * @returns {string[] | null}
   */
  function split(text, language) {
    const pieces = text.match(language === "de" ? MORPHEME : WORD_OR_MARK) ?? [];
    const known = pieces.every((piece) => PIECES[language].has(piece));
    return known && join(pieces, language) === text ? pieces : null;
  }

  /**
   * Put pieces together again.
   *
   * @param {string[]} pieces
   * @param {Language} language
   */
  function join(pieces, language) {
    if (language === "de") return pieces.join("");
    return pieces.join(" ").replaceAll(" - ", "-").replaceAll(" ,", ",");
  }

  /**
   * What somebody typed, as a number word is written: lower case, single spaces.
   *
   * @param {string} text
   */
  const tidy = (text) => text.normalize("NFC").toLowerCase().trim().replace(/\s+/g, " ");

  return { LANGUAGES, NAMES, split, join, tidy };
})();
