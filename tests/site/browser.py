"""A site on a random port under a sub-path, and what a real browser finds on each of its pages."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, ViewportSize

from book import setup
from book.chapters import ROOT
from book.site_check import COMPRESSED

CHROMIUM = setup.browser()
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SCREENSHOTS = ROOT / ".cache" / "screenshots"
AXE = ROOT / "tests/site/vendor/axe-core/axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
TALLEST_SCREENSHOT = 16_000
WIDE: ViewportSize = {"width": 1280, "height": 900}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Static files below a prefix, compressed as a host of static pages does."""

    root: Path
    prefix: str

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        target = self.root / path.removeprefix(self.prefix).lstrip("/")
        if target.is_dir():
            target /= "index.html"
        if not path.startswith(self.prefix) or not target.is_file():
            self.send_error(404)
            return
        content = target.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(target)))
        if target.suffix in COMPRESSED:
            content = gzip.compress(content, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """A reader who leaves before the last byte is no error."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def serve(root: Path, prefix: str = "/a/sub-path") -> Iterator[str]:
    """Serve a folder under a sub-path; yields its address."""
    handler = type("SiteHandler", (Handler,), {"root": root, "prefix": prefix})
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, headless."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@dataclass
class Visit:
    """What one page did and looked like."""

    name: str
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    transferred: int = 0
    widths: dict[int, int] = field(default_factory=dict)
    backgrounds: dict[str, str] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)


def visit(browser: Browser, base: str, name: str) -> Visit:
    """Read a page wide and narrow, in both schemes, and run axe-core in each."""
    seen = Visit(name)
    with context(browser, seen, color_scheme="light") as opened:
        page = opened.new_page()
        page.goto(base + name, wait_until="load")
        page.add_style_tag(content=_STILL)  # a colour in transition has no contrast of its own
        page.wait_for_function("document.fonts.status === 'loaded'")
        seen.transferred = sum(page.evaluate(_TRANSFERS))
        for scheme in ("light", "dark"):
            if scheme == "dark":
                page.set_viewport_size({"width": 360, "height": 740})
                seen.widths[360] = page.evaluate("document.documentElement.scrollWidth")
                _screenshot(page, name, "360")
                page.evaluate(_LEAVE_EACH_KIND)
                page.set_viewport_size(WIDE)
                page.locator("[data-md-component='palette'] label:visible").click()
            page.wait_for_function(_SCHEME_IS, arg=_NAMES[scheme], timeout=10_000)
            seen.backgrounds[scheme] = page.evaluate(_BACKGROUND)
            _screenshot(page, name, scheme)
            seen.violations[scheme] = _axe(page, whole=scheme == "light")
    return seen


_SCHEME_IS = "name => document.body.dataset.mdColorScheme === name"
_NAMES = {"light": "default", "dark": "slate"}
_STILL = "*, ::before, ::after { transition: none !important; animation: none !important; }"
_BACKGROUND = "getComputedStyle(document.body).backgroundColor"
_TRANSFERS = """() => [...performance.getEntriesByType("navigation"),
    ...performance.getEntriesByType("resource")].map(entry => entry.encodedBodySize)"""


@contextmanager
def context(browser: Browser, seen: Visit, **options: Any) -> Iterator[BrowserContext]:
    """A fresh browser without a cache, that writes down what the page asks for and complains of."""
    opened = browser.new_context(viewport=WIDE, **options)
    opened.on("request", lambda request: seen.requests.append(request.url))
    opened.on("console", lambda m: seen.messages.append(m.text) if m.type in _LOUD else None)
    opened.on("weberror", lambda error: seen.messages.append(str(error.error)))
    # What the browser itself gives up because the reader moves on is no failure of the site.
    opened.on(
        "requestfailed",
        lambda r: (
            None
            if r.failure == "net::ERR_ABORTED"
            else seen.messages.append(f"failed: {r.url} {r.failure}")
        ),
    )
    try:
        yield opened
    finally:
        opened.close()


_LOUD = ("error", "warning")


def _axe(page: Page, *, whole: bool) -> list[str]:
    """What axe-core finds; the second scheme repeats the rules that depend on colour."""
    page.evaluate(_OPEN_FOLDS)
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.add_script_tag(path=str(AXE))
    rules = (
        {"type": "tag", "values": WCAG}
        if whole
        else {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
    )
    result = page.evaluate(_RUN_AXE, {"runOnly": rules, "resultTypes": ["violations"]})
    return [f"{rule}: {target} ({text})" for rule, target, text in result]


# Colours are those of the style sheets: where light has been read whole, dark needs one function or
# class of the reference for each kind of element. (All of them take axe a minute.)
_LEAVE_EACH_KIND = """() => {
    const seen = new Set();
    // The inner ones first: what holds a piece that stays, stays.
    for (const piece of [...document.querySelectorAll("div.doc-object")].reverse()) {
        const parts = [piece, ...piece.querySelectorAll("*")];
        const kinds = parts.map(e => `${e.tagName} ${e.className}`);
        const needed = kinds.some(kind => !seen.has(kind)) || piece.querySelector("div.doc-object");
        if (needed) kinds.forEach(kind => seen.add(kind));
        else piece.remove();
    }
}"""
# Sources repeat each other's colours: of them only those that show a kind of token for the first
# time are opened, and the others emptied. (All of them take axe five minutes.)
_OPEN_FOLDS = """() => {
    const seen = new Set();
    for (const fold of document.querySelectorAll("details")) {
        const source = fold.matches(".mkdocstrings-source");
        const kinds = [...fold.querySelectorAll("*")].map(e => `${e.tagName} ${e.className}`);
        fold.open ||= !source || kinds.some(kind => !seen.has(kind));
        if (source) kinds.forEach(kind => seen.add(kind));
        if (!fold.open) fold.querySelectorAll(":scope > :not(summary)").forEach(e => e.remove());
    }
}"""
_RUN_AXE = """async options => (await axe.run(document, options)).violations.flatMap(v =>
    v.nodes.map(n => [v.id, n.target.join(" "), n.any.concat(n.all, n.none)[0]?.message ?? ""]))"""


def _screenshot(page: Page, name: str, kind: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    stem = name.removesuffix(".html").strip("/").replace("/", "-") or "index"
    tall = page.evaluate("document.documentElement.scrollHeight")
    page.screenshot(path=SCREENSHOTS / f"{stem}-{kind}.png", full_page=tall <= TALLEST_SCREENSHOT)
