"""A failed build leaves the last good one; bad calls are refused with a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from book import build, press


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Builds go to a scratch folder that already holds a good site and a good PDF."""
    for name in ("SITE", "DIST", "WORK"):
        monkeypatch.setattr(build, name, tmp_path / name.lower())
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "PDF", tmp_path / "dist" / "book.pdf")
    monkeypatch.setattr(build, "OFFLINE", tmp_path / "dist" / "offline.zip")
    monkeypatch.setattr(build, "_key", lambda with_pdf=True: "key")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("good")
    (tmp_path / "dist").mkdir()
    build.PDF.write_text("good")
    build.OFFLINE.write_text("good")
    return tmp_path


def fake_mkdocs(config: str, out: Path, **environment: str) -> None:
    (out / "downloads").mkdir(parents=True)
    (out / "index.html").write_text("new")


def test_a_site_that_does_not_build_leaves_the_last_good(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(config: str, out: Path, **environment: str) -> None:
        fake_mkdocs(config, out)
        raise build.BuildFailed("mkdocs failed")

    monkeypatch.setattr(build, "_mkdocs", failing)
    with pytest.raises(build.BuildFailed):
        build.site()
    assert (scratch / "site" / "index.html").read_text() == "good"
    assert build.OFFLINE.read_text() == "good"


def test_a_site_whose_check_fails_leaves_the_last_good(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(folder: Path) -> None:
        if folder.name == "site":
            raise build.BuildFailed("a broken link")

    monkeypatch.setattr(build, "_mkdocs", fake_mkdocs)
    monkeypatch.setattr(build, "_check", check)
    with pytest.raises(build.BuildFailed, match="broken link"):
        build.site()
    assert (scratch / "site" / "index.html").read_text() == "good"
    assert build.OFFLINE.read_text() == "good"


def test_a_good_site_replaces_the_old_and_is_not_built_twice(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_mkdocs", fake_mkdocs)
    monkeypatch.setattr(build, "_check", lambda folder: None)
    build.site()
    assert (scratch / "site" / "index.html").read_text() == "new"
    assert build.OFFLINE.read_bytes()[:2] == b"PK"
    monkeypatch.setattr(build, "_mkdocs", lambda *a, **k: pytest.fail("built twice"))
    build.site()


def test_failing_steps_say_which(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(build.BuildFailed, match="a step failed"):
        build._step("a step", ["book", "no-such-command"])


def test_a_warning_of_mkdocs_fails_the_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, page = tmp_path / "mkdocs.yml", tmp_path / "docs" / "index.md"
    config.write_text("site_name: A book\n")
    page.parent.mkdir()
    page.write_text("# A page\n")
    build._mkdocs(str(config), tmp_path / "out")
    assert (tmp_path / "out" / "index.html").is_file()
    page.write_text("# A page\n\n[nowhere](nowhere.md)\n")
    with pytest.raises(build.BuildFailed, match=r"mkdocs -f .* failed"):
        build._mkdocs(str(config), tmp_path / "out")
    assert "nowhere.md" in capsys.readouterr().out


def test_mkdocs_names_the_line_of_a_broken_link_anchor_image_and_cross_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, page = tmp_path / "mkdocs.yml", tmp_path / "docs" / "index.md"
    hook = tmp_path / "hook.py"
    hook.write_text(
        "from pathlib import Path\nfrom book import mkdocs_lines\n"
        "def on_config(config):\n    mkdocs_lines.install(Path(config.docs_dir))\n"
    )
    config.write_text(
        "site_name: A book\nhooks: [hook.py]\nplugins: [autorefs]\nvalidation: {anchors: warn}\n"
    )
    page.parent.mkdir()
    page.write_text(
        "# A page\n\n[one](nowhere.md)\n\n[two](index.md#nope)\n\n![three](nope.png)\n\n"
        "[four][attention_guide.nope]\n"
    )
    with pytest.raises(build.BuildFailed):
        build._mkdocs(str(config), tmp_path / "out")
    said = capsys.readouterr().out
    for line, needle in ((3, "nowhere.md"), (5, "nope"), (7, "nope.png"), (9, "attention_guide")):
        assert re.search(rf"docs/index\.md:{line}: .*{needle}", said), said
    assert said.count("docs/index.md:") == 4


def test_new_chapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "DOCS", tmp_path / "docs")
    (tmp_path / "docs" / "theory").mkdir(parents=True)
    nav = (build.ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(nav, encoding="utf-8")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "book").mkdir()
    template = Path(build.__file__).with_name("chapter-template.md").read_text(encoding="utf-8")
    (tmp_path / "book" / "chapter-template.md").write_text(template, encoding="utf-8")
    target = build.new_chapter("theory/sparse-attention", "44")
    text = target.read_text(encoding="utf-8")
    assert text.startswith("---\nchapter: 44\n")
    assert "# Sparse attention" in text
    assert "NUMBER" not in text
    listed = (tmp_path / "mkdocs.yml").read_text(encoding="utf-8")
    new = "      - theory/sparse-attention.md\n  - Implementation:\n"
    assert listed == nav.replace("  - Implementation:\n", new)
    with pytest.raises(build.BuildFailed, match="exists already"):
        build.new_chapter("theory/sparse-attention", "44")
    with pytest.raises(build.BuildFailed, match="must begin with one of theory"):
        build.new_chapter("nowhere/x", "44")


def test_the_template_is_a_page_that_holds(tmp_path: Path) -> None:
    folder = press.ROOT / "build" / "test-template"
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "page.md"
    template = Path(build.__file__).with_name("chapter-template.md").read_text(encoding="utf-8")
    page.write_text(template.replace("NUMBER", "44"), encoding="utf-8")
    try:
        press.run_or_raise([page], quiet=True)
    finally:
        page.unlink()
