"""Whole builds: site, offline site, PDF, live server. A failed build leaves the last good one."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from book import press, weights
from book.chapters import DOCS, PARTS, ROOT

SITE = ROOT / "site"
DIST = ROOT / "dist"
PDF = DIST / "the-attention-guide.pdf"
OFFLINE = DIST / "attention-guide-offline.zip"
WORK = ROOT / ".cache" / "build"
# All that the book is made from: a test holds this against what the pages read.
SOURCES = (
    "docs",
    "book",
    "overrides",
    "attention_guide",
    "benchmarks/results",
    "mkdocs.yml",
    "README.md",
    "LICENSE",
    "pyproject.toml",
)
# One build at a time: they share the folder that they work in.
LOCK_FOLDER = ROOT / ".cache"
LOCK = FileLock(LOCK_FOLDER / "build.lock", is_singleton=True)
ADDRESSES = ("ATTENTION_GUIDE_SITE_URL", "ATTENTION_GUIDE_REPO_URL")


class BuildFailed(Exception):
    """A step of the build failed; the message says which and why."""


def site() -> Path:
    """Build `site/` and the offline zip, unless they are already those of these sources."""
    LOCK_FOLDER.mkdir(exist_ok=True)
    with LOCK:
        return _site()


def _site() -> Path:
    stamp, key = SITE / ".build-key", _key()
    if stamp.exists() and stamp.read_text() == key and OFFLINE.exists():
        print("book: the site is up to date")
        return SITE
    started = time.perf_counter()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    online, offline, zipped = WORK / "site", WORK / "offline", WORK / OFFLINE.name
    _mkdocs("book/mkdocs.offline.yml", offline)
    _check(offline)
    _zip(offline, zipped)
    _mkdocs("mkdocs.yml", online, ATTENTION_GUIDE_OFFLINE_ZIP=str(zipped))
    _check(online)
    (online / ".build-key").write_text(key)
    DIST.mkdir(exist_ok=True)
    os.replace(zipped, OFFLINE)
    _swap(online, SITE)
    print(f"book: built site/ and {OFFLINE.relative_to(ROOT)} "
          f"in {time.perf_counter() - started:.0f} s")  # fmt: skip
    return SITE


def pdf() -> Path:
    """Build the PDF edition from the site's HTML, unless it is already that of these sources."""
    LOCK_FOLDER.mkdir(exist_ok=True)
    with LOCK:
        return _pdf()


def _pdf() -> Path:
    from book.pdf import build_pdf

    stamp, key = DIST / ".pdf-key", _key(with_pdf=False)
    if not (PDF.exists() and stamp.exists() and stamp.read_text() == key):
        build_pdf(site(), PDF)
        stamp.write_text(key)
    site()  # with the PDF among its downloads
    shutil.copy(PDF, SITE / "downloads" / PDF.name)
    return PDF


def serve(arguments: list[str]) -> int:
    """Serve the book on localhost:8000 with live reload."""
    press.run(press.executable_pages())
    print(
        "book: building the site, then serving it on http://localhost:8000 (Ctrl-C stops it)",
        flush=True,
    )
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "serve", *arguments], cwd=ROOT, check=False
    ).returncode


def new_chapter(slug: str, number: str) -> Path:
    """Copy the chapter template to `docs/SLUG.md`, and list it as the last of its part."""
    target = DOCS / f"{slug}.md"
    if target.exists():
        raise BuildFailed(f"{target.relative_to(ROOT)} exists already")
    part = slug.split("/")[0]
    if part not in PARTS:
        raise BuildFailed(f"the slug {slug!r} must begin with one of {', '.join(PARTS)}")
    template = (ROOT / "book" / "chapter-template.md").read_text(encoding="utf-8")
    title = re.sub(r"[-_]", " ", slug.split("/")[1]).capitalize()
    target.write_text(template.replace("NUMBER", number).replace("TITLE", title), encoding="utf-8")
    config = ROOT / "mkdocs.yml"
    section = re.compile(rf"^  - {PARTS[part]}:\n(?: {{6}}- .*\n)*", re.M)
    listed = section.sub(rf"\g<0>      - {slug}.md\n", config.read_text(encoding="utf-8"))
    config.write_text(listed, encoding="utf-8")
    print(f"book: wrote {target.relative_to(ROOT)} and listed it in mkdocs.yml")
    return target


def commit() -> str:
    """The commit that the sources are at, in short; empty where git knows none."""
    if "ATTENTION_GUIDE_COMMIT" in os.environ:
        return os.environ["ATTENTION_GUIDE_COMMIT"][:9]
    return _git("rev-parse", "--short=9", "HEAD")


def changed() -> bool:
    """Whether the sources differ from that commit, new files among them included."""
    return bool(_git("status", "--porcelain", "--", *SOURCES))


def days(runs: Iterable[float]) -> list[str]:
    """The first and the last day (UTC) of some runs; one day where they are the same."""
    found = {datetime.fromtimestamp(run, UTC).date().isoformat() for run in runs}
    return sorted({min(found), max(found)}) if found else []


def lint() -> None:
    """Format, types, spelling, workflows; all of them, then a failure where any failed."""
    workflows = sorted(str(path) for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    zizmor = shutil.which("zizmor", path=str(Path(sys.executable).parent)) or "zizmor"
    schema = ["check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    module = [sys.executable, "-m"]
    steps = [
        [*module, "ruff", "check", "."],
        [*module, "ruff", "format", "--check", "."],
        [*module, "mypy"],
        [*module, "codespell_lib"],
        [zizmor, "--offline", "--quiet", *workflows],
        [*module, *schema, *workflows],
    ]
    failed = [step for step in steps if subprocess.run(step, cwd=ROOT, check=False).returncode]
    if failed:
        raise BuildFailed("\n".join(f"{' '.join(step[:4])} …" for step in failed))


def _mkdocs(config: str, out: Path, **environment: str) -> None:
    # Not --quiet: it silences the warnings that --strict counts.
    command = ["mkdocs", "build", "--strict", "-f", config, "-d", str(out)]
    _step(f"mkdocs -f {config}", command, **environment)


def _check(folder: Path) -> None:
    _step("the check of the built pages", ["book.site_check", str(folder)])


def _step(name: str, module: list[str], **environment: str) -> None:
    command = [sys.executable, "-m", *module]
    # Material prints a notice about its successor into every build.
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1", **environment}
    with subprocess.Popen(
        command, cwd=ROOT, env=quiet, text=True, encoding="utf-8", errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        for line in running.stdout:
            if not line.startswith("INFO"):
                print(line, end="", flush=True)
    if running.returncode:
        raise BuildFailed(f"{name} failed (above); the last good build stands")


def _git(*arguments: str) -> str:
    if shutil.which("git") is None:
        return ""
    # No optional locks: a build mustn't get in the way of a commit that is being made.
    command = ["git", "--no-optional-locks", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _zip(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                # A fixed date: the same site gives the same bytes.
                name = f"attention-guide/{file.relative_to(folder).as_posix()}"
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, file.read_bytes())


def _swap(new: Path, old: Path) -> None:
    aside = WORK / "previous"
    if old.exists():
        os.replace(old, aside)
    os.replace(new, old)
    shutil.rmtree(aside, ignore_errors=True)


def _key(*, with_pdf: bool = True) -> str:
    digest = hashlib.sha256(press.environment().encode())
    digest.update(f"pdf={with_pdf and PDF.exists()} bert={weights.laid()}".encode())
    digest.update(f" commit={commit()} changed={changed()}".encode())  # the footer names them
    for name in SOURCES:
        base = ROOT / name
        for file in sorted(base.rglob("*")) if base.is_dir() else [base]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"\n{file.relative_to(ROOT).as_posix()}\n".encode())
                digest.update(file.read_bytes())
    for name in ADDRESSES:
        digest.update(f"\n{name}={os.environ.get(name, '')}".encode())
    return digest.hexdigest()
