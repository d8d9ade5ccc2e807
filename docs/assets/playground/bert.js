// A real BERT: every head of all-MiniLM-L6-v2, and how alike two sentences are to it.
"use strict";

(() => {
  const { h, number } = LiveUI;
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const base = new URL("minilm/", script.src);

  /** @type {InstanceType<typeof LiveBert.Bert> | undefined} one for all figures of a page */
  let shared;
  const millions = (/** @type {number} */ bytes) => number(bytes / 1e6, 1);

  LiveUI.define("bert", (saved) => {
    let state = LiveWorkshop.restore(saved);
    const body = h("div");
    /** @type {(() => void) | undefined} while there is a model to run */
    let show;
    // Whoever was inside stays inside: the focus would be lost with the button that was pressed.
    const put = (/** @type {HTMLElement} */ element) => {
      const inside = body.contains(document.activeElement);
      body.replaceChildren(element);
      if (inside) element.querySelector(/** @type {"button"} */ ("button, select"))?.focus();
    };
    const enter = (/** @type {string} */ news) => {
      if (!shared) return;
      const room = LiveWorkshop.open(shared, () => state, news, leave);
      show = room.show;
      put(room.element);
      show();
    };
    const leave = async () => {
      await LiveShards.forget();
      show = shared = undefined;
      put(offer(enter));
    };
    if (shared) enter("");
    else put(offer(enter));
    return {
      title: "A real BERT",
      about:
        "all-MiniLM-L6-v2: 22.7 million parameters, 6 layers of 12 heads, in your page. Made by the sentence-transformers project, Apache-2.0.",
      question: {
        text: "how alike are “A dog bit the man.” and “A man bit the dog.” to this model, if 1 is the same and 0 is unrelated?",
        choices: ["about 0.3", "about 0.6", "above 0.95"],
        answer: 2,
        why: "It says 0.97. Its vector is the mean of all tokens: it keeps what a sentence is about far better than who does what to whom. Without “dog” in the first it is 0.55.",
      },
      body,
      reset: () => {
        state = LiveWorkshop.restore(null);
        show?.();
      },
      state: () => state,
    };
  });

  /**
   * What stands there before the model does: its size, a button, the still figure.
   *
   * @param {(news: string) => void} enter
   */
  function offer(enter) {
    const still = h("div", {}, ...stillFigure());
    const { index, missing } = LiveBert.site;
    const folder = location.protocol === "file:";
    if (!index || folder) {
      const why = missing ?? "A page opened from a folder may not fetch the model.";
      return h(
        "div",
        {},
        h("p", { class: "live-warning" }, why, " A still figure instead:"),
        still,
      );
    }
    const { shards } = index;
    const size = LiveShards.total(shards);
    const problem = h("p", { class: "live-problem", role: "alert" });
    const status = h("p", { role: "status" });
    const bar = h("progress", { max: size, value: 0, "aria-label": "Fetched of the model" });
    const count = h("span");
    const cancel = h("button", { type: "button" }, "Cancel");
    const fetching = h("div", { class: "live-controls", hidden: true }, bar, count, cancel);
    const go = h("button", { type: "button", onclick: begin });
    const drop = h("button", { type: "button", onclick: clear }, "Forget what is kept");
    const choice = h("div", { class: "live-controls" }, go, drop);
    const label = (/** @type {number} */ kept) => {
      drop.hidden = !kept;
      go.textContent =
        kept === size
          ? `Start the model (${millions(size)} MB, kept in this browser)`
          : `Fetch the model (${millions(size - kept)} MB)`;
    };
    const look = () => LiveShards.kept(base, shards).then(label);
    label(0);
    look();
    document.addEventListener("visibilitychange", look); // another tab may fetch, or forget

    async function clear() {
      await LiveShards.forget();
      await look();
      status.textContent = "Forgotten.";
      go.focus();
    }

    async function begin() {
      const abort = new AbortController();
      const tell = (/** @type {boolean} */ busy) => {
        choice.hidden = busy;
        fetching.hidden = !busy;
      };
      const progress = (/** @type {number} */ bytes) => {
        bar.value = bytes;
        count.textContent = `${millions(bytes)} of ${millions(size)} MB`;
      };
      cancel.onclick = () => abort.abort();
      problem.textContent = status.textContent = "";
      progress(0);
      tell(true);
      cancel.focus();
      try {
        const { bytes, kept } = await LiveShards.load(base, shards, {
          signal: abort.signal,
          progress,
        });
        shared = new LiveBert.Bert(/** @type {BertIndex} */ (index), bytes);
        enter(
          kept
            ? "The model is kept in this browser: the next visit needn't fetch it."
            : "This browser couldn't keep the model: the next visit fetches it again.",
        );
      } catch (error) {
        tell(false);
        go.focus();
        await look();
        if (abort.signal.aborted) status.textContent = "Cancelled. Parts that came whole are kept.";
        else {
          const reason = error instanceof Error ? error.message : String(error);
          problem.textContent = `The model can't be loaded: ${reason}. Press the button to go on.`;
        }
      }
    }

    return h("div", {}, choice, fetching, status, problem, still);
  }

  /** The picture and its caption, from the page. */
  function stillFigure() {
    const figure = document.querySelector("[data-live=bert] > figure");
    const image = figure?.querySelector("img")?.cloneNode();
    const caption = figure?.querySelector("figcaption")?.textContent ?? "";
    return image ? [image, h("p", { class: "live-hint" }, caption)] : [];
  }
})();
