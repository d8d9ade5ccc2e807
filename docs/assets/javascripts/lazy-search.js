// The search index is the heaviest file of the site: fetch it when a reader reaches for the search,
// not with every page. The theme's own request is held back until then.
"use strict";

(() => {
  if (location.protocol === "file:" || /[?&][hq]=/.test(location.search)) return;

  const wanted = new Promise((resolve) => {
    const isSearch = (target) =>
      target instanceof Element && target.closest("#__search, [data-md-component^='search']");
    for (const type of ["focusin", "change", "pointerover"]) {
      addEventListener(type, (event) => isSearch(event.target) && resolve(), { passive: true });
    }
  });

  const { open, send } = XMLHttpRequest.prototype;
  const held = new WeakSet();
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    if (String(url).endsWith("search/search_index.json")) held.add(this);
    return open.call(this, method, url, ...rest);
  };
  XMLHttpRequest.prototype.send = function (...body) {
    if (held.has(this)) wanted.then(() => send.apply(this, body));
    else send.apply(this, body);
  };
})();
