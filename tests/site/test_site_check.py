"""The check of built pages finds what it is there to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from book.site_check import WEIGHT_LIMIT, check, css_urls, main

PAGE = "<!doctype html><html><head><title>t</title></head><body>{}</body></html>"


def site(tmp_path: Path, body: str, **files: str | bytes) -> Path:
    (tmp_path / "index.html").write_text(PAGE.format(body), encoding="utf-8")
    for name, content in files.items():
        path = tmp_path / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp_path


GOOD = """<a href="#here">x</a><a id="here"></a><a href="a/">x</a><a href="a/#there">x</a>
<img src="x.svg" alt=""><link rel="stylesheet" href="s.css"><a href="https://example.org/">x</a>
<a href="mailto:me">x</a><img src="data:image/png;base64,AA==" alt="x"><a href="x.svg?v=1">x</a>"""


def test_a_good_site_passes(tmp_path: Path) -> None:
    other = PAGE.format('<h1 id="there">x</h1><a href="../">up</a>')
    style = "@font-face{src:url(f.woff2),url(f.ttf)} a{background:url('data:image/svg+xml,x')}"
    folder = site(tmp_path, GOOD, a__index_html=other, x_svg="<svg/>", s_css=style, f_woff2=b"font")
    assert check(folder) == []
    assert main([str(folder)]) == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('<a href="missing/">x</a>', "leads nowhere: missing/"),
        ('<a href="../outside.html">x</a>', "leads nowhere"),
        ('<a href="#missing">x</a>', "no such anchor: #missing"),
        ('<a href="index.html#missing">x</a>', "no such anchor"),
        ('<img src="missing.png" alt="x">', "leads nowhere: missing.png"),
        ('<img srcset="missing.png 2x" src="data:," alt="x">', "leads nowhere: missing.png"),
        ('<img src="data:,">', "without alt"),
        ('<p id="a"></p><p id="a"></p>', "the id 'a' stands 2 times"),
        ('<script src="https://cdn.example/x.js"></script>', "another host: https://cdn.example"),
        ('<script src="//cdn.example/x.js"></script>', "another host: //cdn.example/x.js"),
        ('<link rel="preconnect" href="https://fonts.example">', "another host"),
        ("<style>@import 'https://fonts.example/a.css';</style>", "another host"),
        ('<p style="background: url(missing.png)">', "leads nowhere: missing.png"),
        ('<svg><image href="https://x.example/a.png"/></svg>', "another host"),
        ('<iframe src="missing.html"></iframe>', "leads nowhere"),
        ('<a href="downloads/x.zip" download>x</a>', "leads nowhere: downloads/x.zip"),
    ],
)
def test_a_broken_page_fails(
    tmp_path: Path, body: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(site(tmp_path, body))]) == 1
    printed = capsys.readouterr().err
    assert reason in printed
    assert printed.startswith(("index.html", "docs/index.md"))


def test_style_sheets_are_checked(tmp_path: Path) -> None:
    style = "a{background:url(gone.png)} @import url(https://x.example/a.css);"
    reasons = [p.reason for p in check(site(tmp_path, "", s_css=style))]
    assert reasons == [
        "fetched from another host: https://x.example/a.css",
        "leads nowhere: gone.png",
    ]


def test_of_a_fonts_sources_the_first_counts() -> None:
    style = "@font-face{src:url(a.woff2) format('woff2'),url(a.ttf);x:y} b{background:url(c.png)}"
    assert list(css_urls(style)) == ["a.woff2", "c.png"]


def test_a_heavy_chapter_fails(tmp_path: Path) -> None:
    import random

    noise = random.Random(0).randbytes(WEIGHT_LIMIT)
    body = '<ul class="chapter-facts"></ul><img src="big.png" alt="x">'
    [problem] = check(site(tmp_path, body, big_png=noise))
    assert "a chapter may weigh 400" in problem.reason


def test_an_empty_folder_fails(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
