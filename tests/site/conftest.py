"""One browser and one visit to each page for all the tests of the site."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.site.browser import Visit, launch, serve, visit


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = launch(playwright)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def base(built_site: Path) -> Iterator[str]:
    """The address at which the built site is served, ending in a slash."""
    with serve(built_site) as address:
        yield address


@pytest.fixture(scope="session")
def page_names(built_site: Path) -> list[str]:
    """Every page of the site as a link from its root."""
    found = sorted(path.relative_to(built_site).as_posix() for path in built_site.rglob("*.html"))
    return [name.removesuffix("index.html") for name in found if name != "404.html"]


@pytest.fixture(scope="session")
def missing_page(built_site: Path, browser: Browser) -> Visit:
    """The page for missing addresses, whose links are absolute for the site's own address."""
    prefix = urlsplit(os.environ.get("ATTENTION_GUIDE_SITE_URL", "")).path.rstrip("/")
    with serve(built_site, prefix) as address:
        return visit(browser, address, "404.html")


@pytest.fixture(scope="session")
def visits(base: str, page_names: list[str]) -> list[Visit]:
    """What the browser found on every page, with as many browsers as there are cores."""
    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        shares = pool.map(lambda i: _read(base, page_names[i::workers]), range(workers))
        return sorted((v for share in shares for v in share), key=lambda v: v.name)


def _read(base: str, names: list[str]) -> list[Visit]:
    with sync_playwright() as playwright:
        opened = launch(playwright)
        try:
            return [visit(opened, base, name) for name in names]
        finally:
            opened.close()
