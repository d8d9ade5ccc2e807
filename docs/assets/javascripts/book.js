// Conveniences that a page can do without: everything reads and works before this has run.
"use strict";

(() => {
  // A formula or cell that is wider than the screen scrolls; the keyboard must reach it, too.
  const scrollable = ".equation, .jp-OutputArea-output, .jp-OutputArea-output > pre, .md-typeset table";

  const reachable = () => {
    for (const element of document.querySelectorAll(scrollable)) {
      if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    }
  };

  let pending = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(reachable);
  });
  addEventListener("load", reachable);
  document.fonts?.ready.then(reachable);
  reachable();

  // A link into a fold opens it.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      fold.open = true;
    }
  };
  addEventListener("hashchange", reveal);
  reveal();

  // Printing shows what is folded.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(".md-typeset details:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });
})();
