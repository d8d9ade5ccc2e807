// Watch it learn: one small model at many steps of its training, run anew at each.
"use strict";

(() => {
  const { h, slider, checkbox, number } = LiveUI;
  const { file, read, mean } = LiveInduction;
  const { curves, at, bars, attention, scale, fold } = LivePictures;
  const WORD = "blacksmith";
  const LONGEST = 20;
  const REST = 900; // milliseconds at each step while it plays

  /** @typedef {{text: string, again: boolean, at: number}} State `at`: which snapshot */

  const isText = (/** @type {any} */ x) => typeof x === "string" && /^[a-z]{2,20}$/.test(x);
  /** A place that scrolls, for pictures of long texts. @param {string} name */
  const room = (name) =>
    h("div", { class: "live-grid live-map", tabindex: 0, role: "region", "aria-label": name });
  const percent = (/** @type {number} */ p) => `${number(100 * p, p < 0.1 ? 1 : 0)} %`;

  LiveUI.define("learning", (saved) => {
    const { config, vocabulary, training, card } = file();
    const { steps } = training;
    const last = steps.length - 1;
    /** @returns {State} */
    const start = () => ({ text: WORD, again: true, at: 0 });
    let state = restore(saved);

    /**
     * @param {any} saved
     * @returns {State}
     */
    function restore(saved) {
      const state = start();
      if (isText(saved?.text)) state.text = saved.text;
      if (typeof saved?.again === "boolean") state.again = saved.again;
      if (Number.isInteger(saved?.at) && saved.at in steps) state.at = saved.at;
      return state;
    }

    const problem = h("p", { class: "live-problem", role: "alert" });
    const field = h("input", {
      type: "text",
      maxlength: LONGEST,
      size: LONGEST,
      spellcheck: "false",
      autocapitalize: "none",
      oninput: typed,
    });
    const again = checkbox("and the same letters again", (on) => set({ again: on }));
    const step = slider(
      "Training ",
      { min: 0, max: last, step: 1, value: state.at },
      (at) => {
        stop();
        set({ at });
      },
      (at) => `step ${steps[at]}`,
    );
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const play = h("button", { type: "button", onclick: pressed });
    const summary = h("p", { class: "live-summary" });
    const charts = h("div", { class: "live-row" });
    const log = fold("The curves");
    const odds = room("Bars");
    const oddsTable = fold("The probabilities");
    const maps = Array.from({ length: config.n_layers * config.n_heads }, (_, i) => {
      const name = `Head ${(i % config.n_heads) + 1} of layer ${1 + Math.floor(i / config.n_heads)}`;
      const title = h("p", { class: "live-chart-title" });
      const picture = room(`${name}, map`);
      const weights = fold(name);
      const element = h("div", { class: "live-view" }, title, picture, weights.element);
      return { element, title, picture, weights };
    });
    /** @type {ReturnType<typeof setInterval> | undefined} */
    let timer;

    function set(/** @type {Partial<State>} */ change) {
      Object.assign(state, change);
      draw();
    }

    function typed() {
      const text = field.value.toLowerCase();
      const fits = isText(text);
      complain(fits);
      if (fits) set({ text });
    }

    function complain(/** @type {boolean} */ fits) {
      field.setAttribute("aria-invalid", String(!fits));
      problem.textContent = fits ? "" : `Type 2 to ${LONGEST} letters, a to z, nothing else.`;
    }

    /** Those who prefer less motion go step by step. */
    function pressed() {
      if (timer) return stop();
      if (!still.matches) timer = setInterval(next, REST);
      if (state.at === last) state.at = 0;
      else if (still.matches) state.at++;
      draw();
    }

    function next() {
      if (state.at === last || !play.isConnected) stop();
      else set({ at: state.at + 1 });
    }

    function stop() {
      clearInterval(timer);
      timer = undefined;
      draw();
    }

    function draw() {
      const letters = [...state.text, ...(state.again ? state.text : "")];
      const tokens = ["·", ...letters];
      const ids = [config.bos_id ?? 1, ...letters.map((letter) => vocabulary.indexOf(letter))];
      const now = steps[state.at];
      const { right, heads } = read(now, ids);
      step.set(state.at);
      again.set(state.again);
      if (field.value.toLowerCase() !== state.text && document.activeElement !== field) {
        field.value = state.text;
        complain(true);
      }
      play.textContent = timer ? "Pause" : still.matches ? "Next step" : "Play";
      // Nobody shall be talked over by every picture of a film.
      summary.setAttribute("aria-live", timer ? "off" : "polite");
      const known = state.again ? state.text.length + 1 : letters.length;
      const best = heads.reduce((a, b) => (b.induction > a.induction ? b : a));
      summary.textContent = sentence(now, right, known, best);
      showCurves(now);
      const pairs = letters.map((letter, i) => tokens[i] + letter);
      const told = pairs.map((pair, i) => pairs.indexOf(pair) < i);
      const picture = bars(letters, right, 0);
      picture.querySelectorAll("rect").forEach((bar, i) => {
        if (!told[i]) bar.setAttribute("fill", "none");
      });
      odds.replaceChildren(picture);
      oddsTable.fill(
        ["", "letter", "foretold", "probability"],
        letters.map((letter, i) => [i + 1, letter, told[i] ? "yes" : "no", number(right[i], 3)]),
      );
      const found = !Number.isNaN(best.induction);
      heads.forEach((head, i) => showHead(head, maps[i], tokens, found && head === best));
    }

    function showCurves(/** @type {number} */ now) {
      const { losses, scores } = training;
      charts.replaceChildren(
        curves("Loss in nats a letter, on held-out letters", losses, 4, now),
        curves("Share of attention, best head of its layer", scores, 1, now),
      );
      const all = [...losses, ...scores];
      log.fill(
        ["step", ...all.map(([name]) => name)],
        steps.map((/** @type {number} */ step) => [
          step,
          ...all.map(([, points]) => number(at(points, step))),
        ]),
        state.at,
      );
    }

    /**
     * @param {Head} head
     * @param {(typeof maps)[number]} place
     * @param {string[]} tokens
     * @param {boolean} strongest
     */
    function showHead(head, { element, title, picture, weights }, tokens, strongest) {
      const name = `Layer ${head.layer}, head ${head.head}`;
      const score = Number.isNaN(head.induction) ? "none" : number(head.induction);
      const words = `${name}: induction ${score}, letter before ${number(head.previous)}`;
      title.textContent = `${words}${strongest ? " ★" : ""}`;
      element.classList.toggle("live-chosen", strongest);
      picture.replaceChildren(attention(`Attention map. ${words}.`, tokens, head.map));
      const numbered = tokens.map((token, i) => `${i} ${token}`);
      weights.fill(
        ["", ...numbered],
        head.map.map((row, t) => [numbered[t], ...row.map((w, s) => (s > t ? "✕" : w))]),
      );
    }

    draw();
    const body = h(
      "div",
      {},
      h("div", { class: "live-controls" }, step.element, play),
      h("div", { class: "live-controls" }, h("label", {}, "Letters ", field), again.element),
      problem,
      summary,
      charts,
      log.element,
      h(
        "p",
        { class: "live-hint" },
        "What the model gave to each letter before it came. Filled: it has followed the letter before it already, so it can be foretold. Hollow: it has not.",
      ),
      odds,
      oddsTable.element,
      h(
        "p",
        { class: "live-hint" },
        "Where each head looks: a row for each letter that asks, a column for each that is asked. · is the start.",
      ),
      scale(" Blank: lies ahead."),
      h("div", { class: "live-row" }, ...maps.map(({ element }) => element)),
      h(
        "details",
        {},
        h("summary", {}, "Model card"),
        h("pre", { tabindex: 0, "aria-label": "Model card" }, card),
      ),
    );
    return {
      title: "Watch it learn",
      about: `A Transformer of two layers that learned to continue letters which repeat, as it was at ${steps.length} moments of its training. It reads your letters in your page.`,
      question: {
        text: "at first the model guesses among 26 letters. How will its loss on the second half fall?",
        choices: [
          "a little at every step",
          "late, and all at once",
          "not at all: two layers are too few",
        ],
        answer: 1,
        why: "For 300 steps next to nothing happens; within the next 250 four fifths of the loss are gone. A head of layer 1 learns to look at the letter before, one of layer 2 to look for what came after the present letter. Neither is worth anything without the other. Move the slider.",
      },
      body,
      reset: () => {
        state = start();
        complain(true);
        field.value = state.text;
        stop();
      },
      state: () => state,
    };
  });

  /**
   * @param {number} step
   * @param {number[]} right
   * @param {number} known from here on a letter has been there before
   * @param {Head} best
   */
  function sentence(step, right, known, best) {
    const share = percent(mean(right.slice(0, known)));
    const twice = known < right.length;
    const where = twice
      ? `${share} in the first half, ${percent(mean(right.slice(known)))} in the second`
      : `${share} on average`;
    const head = Number.isNaN(best.induction)
      ? "No letter occurs twice: there is nothing to find."
      : `Strongest induction head (★): layer ${best.layer}, head ${best.head}, score ${number(best.induction)}.`;
    return `After ${step} steps the right letter gets ${where}. ${head}`;
  }
})();
