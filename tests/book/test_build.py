"""A failed build leaves the last good one; bad calls are refused with a reason."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import Environment, FileSystemLoader
from lxml import html

from book import build, press
from book.pdf import front


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


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit with a file for each of the sources."""
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.delenv("ATTENTION_GUIDE_COMMIT", raising=False)
    for name in (*build.SOURCES, "tests"):
        file = tmp_path / name if "." in name or name == "LICENSE" else tmp_path / name / "file"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("before")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    """What git prints, for a person of no name and without the machine's own settings."""
    person = ["-c", "user.name=n", "-c", "user.email=n@book.example", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *person, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_each_commit_is_built_and_what_is_not_committed_is_marked(repository: Path) -> None:
    first = build._key()
    assert build.commit() == git(repository, "rev-parse", "HEAD")[:9]
    assert (build._key(), build.changed()) == (first, False)
    page = repository / "docs" / "file"
    page.write_text("after")
    changed = build._key()
    assert build.changed()
    git(repository, "commit", "--quiet", "--all", "-m", "two")
    second = build._key()  # of the same sources as the changed tree
    assert not build.changed()
    assert build.commit() == git(repository, "rev-parse", "HEAD")[:9]
    assert len({first, changed, second}) == 3
    (repository / "tests" / "file").write_text("after")  # no part of the book
    assert (build._key(), build.changed()) == (second, False)
    (repository / "docs" / "new").write_text("a page that no commit has")
    assert build.changed()


def test_the_commit_can_be_given(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTENTION_GUIDE_COMMIT", "0123456789abcdef")
    (repository / "docs" / "file").write_text("after")
    changed = build._key()
    git(repository, "commit", "--quiet", "--all", "-m", "two")
    given = build._key()
    assert given != changed  # of the same sources: the mark has gone
    assert build.commit() == "012345678"
    monkeypatch.setenv("ATTENTION_GUIDE_COMMIT", "")
    assert build.commit() == ""
    assert build._key() != given


def test_without_git_no_commit_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    assert (build.commit(), build.changed()) == ("", False)


@pytest.mark.parametrize("source", build.SOURCES)
def test_every_source_is_in_the_key(repository: Path, source: str) -> None:
    (repository / "docs" / "new").write_text("x")  # so that `changed` doesn't tell the two apart
    before = build._key()
    path = repository / source
    (path / "file" if path.is_dir() else path).write_text("after")
    assert build._key() != before


def test_whatever_a_page_reads_is_a_source() -> None:
    # The run of all tests has run every page; a run of this one, at least the page of measurements.
    press.run([build.DOCS / "appendix" / "speed.md"], quiet=True)
    read: set[str] = set()
    for page in press.executable_pages():
        records = (press.CACHE / press.slug(page)).glob("*/record.json")
        for newest in sorted(records, key=lambda record: record.stat().st_mtime)[-1:]:
            read.update(json.loads(newest.read_text(encoding="utf-8"))["dependencies"])
    assert any(name.startswith("benchmarks/results/") for name in read)
    sources = tuple(f"{name}/" if (build.ROOT / name).is_dir() else name for name in build.SOURCES)
    assert not {name for name in read if not name.startswith(sources)}


def test_days_are_the_first_and_the_last() -> None:
    day = 24 * 3600.0
    assert build.days([3 * day, 0.0, 1.5 * day]) == ["1970-01-01", "1970-01-04"]
    assert build.days([0.0, 0.5 * day]) == ["1970-01-01"]
    assert build.days([]) == []


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {"commit": "0123abcde", "changed": False, "days": ["2026-01-02"]},
            "Version 1.2, commit 0123abcde. The pages were run on 2026-01-02 with torch 3.4 and "
            "numpy 5.6.",
        ),
        (
            {"commit": "0123abcde", "changed": True, "days": ["2026-01-02", "2026-02-01"]},
            "Version 1.2, commit 0123abcde with changes. The pages were run between 2026-01-02 "
            "and 2026-02-01 with torch 3.4 and numpy 5.6.",
        ),
        ({"commit": "", "changed": True, "days": []}, "Version 1.2."),
    ],
)
def test_footer_and_imprint_say_what_was_built(
    tmp_path: Path, facts: dict[str, object], said: str
) -> None:
    templates = Environment(loader=FileSystemLoader(build.ROOT / "overrides"), autoescape=True)
    known = {"version": "1.2", "torch": "3.4", "numpy": "5.6", **facts}
    config = SimpleNamespace(copyright="", extra=SimpleNamespace(build=known))
    footer = templates.get_template("partials/copyright.html").render(config=config)
    (tmp_path / "index.html").write_text(f"<html><body>{footer}</body></html>", encoding="utf-8")
    days = html.fromstring(footer).xpath("//time/@datetime")
    assert days == facts["days"]
    document = front.document(front.About.of_site(tmp_path), None)
    imprint = document.find_class("imprint")[0]
    assert imprint[0].text == f"The Attention Guide. {said}"


def test_a_site_without_its_facts_makes_no_pdf(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html><body>A page</body></html>")
    with pytest.raises(ValueError, match="names no version and no commit"):
        front.About.of_site(tmp_path)


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
