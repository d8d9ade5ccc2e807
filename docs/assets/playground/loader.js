// Brings a live figure to life when the reader comes near it: nothing of it is fetched before.
//
// A page marks a place with <div data-live="NAME">. What stands inside, a still figure, is what
// readers without scripts and the PDF get.
"use strict";

(() => {
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const base = new URL(".", script.src);
  const ENGINE = ["kernel.js", "weights.js", "layers.js", "blocks.js", "model.js"];
  /** @type {Record<string, string[]>} scripts of each figure, in order */
  const NEEDS = {
    bert: [
      ...ENGINE,
      "wordpiece.js",
      "bert-model.js",
      "minilm/index.js",
      "ui.js",
      "pictures.js",
      "bert-files.js",
      "heads.js",
      "bert-room.js",
      "bert.js",
    ],
    calculator: ["attention.js", "ui.js", "calculator.js"],
    gpt: [
      ...ENGINE,
      "ui.js",
      "pictures.js",
      "heads.js",
      "bpe.js",
      "sampling.js",
      "gpt-run.js",
      "gpt-state.js",
      "models/topics-gpt.js",
      "gpt.js",
    ],
    learning: [
      ...ENGINE,
      "ui.js",
      "pictures.js",
      "induction.js",
      "models/induction.js",
      "learning.js",
    ],
    masks: ["ui.js", "mask-rules.js", "masks.js"],
    positions: [
      "kernel.js",
      "layers.js",
      "ui.js",
      "pictures.js",
      "position-rules.js",
      "positions.js",
    ],
    translator: [
      ...ENGINE,
      "ui.js",
      "pictures.js",
      "numbers.js",
      "search.js",
      "models/number-words-transformer.js",
      "translator.js",
    ],
  };

  /** @type {Map<string, Promise<void>>} */
  const loaded = new Map();

  /** @param {string} file */
  function load(file) {
    const known = loaded.get(file);
    if (known) return known;
    const style = file.endsWith(".css");
    const element = document.createElement(style ? "link" : "script");
    if (element instanceof HTMLLinkElement) {
      element.rel = "stylesheet";
      element.href = new URL(file, base).href;
    } else {
      element.async = false; // fetched side by side, run in order
      element.src = new URL(file, base).href;
    }
    const done = new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      element.onload = () => resolve();
      element.onerror = () => reject(new Error(`${file} could not be loaded`));
    });
    loaded.set(file, done);
    document.head.append(element);
    return done;
  }

  /** @param {HTMLElement} place */
  async function start(place) {
    const name = place.dataset.live ?? "";
    try {
      await Promise.all(["playground.css", ...NEEDS[name]].map(load));
      LiveUI.mount(name, place);
    } catch (error) {
      place.querySelector(".live-message")?.remove();
      const message = document.createElement("p");
      message.className = "live-message";
      message.setAttribute("role", "alert");
      const reason = error instanceof Error ? error.message : String(error);
      message.textContent = `The live figure can't be shown: ${reason}. Reload the page to try again.`;
      place.append(message);
    }
  }

  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting || !(target instanceof HTMLElement)) continue;
        near.unobserve(target);
        start(target);
      }
    },
    { rootMargin: "500px" },
  );
  for (const place of document.querySelectorAll("[data-live]")) {
    place.id ||= `live-${place.getAttribute("data-live")}`; // where a link to a state leads
    near.observe(place);
  }
})();
