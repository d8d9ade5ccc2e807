"""The set-up finds what a system lacks, and installs it or names the command that does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from book import setup

LIBRARIES = [*setup.PDF_LIBRARIES]
ALL = [*LIBRARIES, "chromium", "fontconfig", *setup.FONTS]
NOTO = "fontconfig google-noto-sans-{cjk,devanagari,thai}-fonts"
MSYS2 = r'C:\msys64\usr\bin\bash -lc "pacman -S --noconfirm mingw-w64-ucrt-x86_64-pango"'
HOME_LIB = 'ln -s "$(brew --prefix)/lib" ~/lib'
UBUNTU = "(no package chromium in Ubuntu? Google's own of Chrome does as well)"


class System:
    """A system with these programs, as the set-up sees it; it keeps what the set-up runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.ran: list[list[str]] = []

    def be(self, platform: str, programs: str, user: int | None) -> None:
        paths = {program: f"/usr/bin/{program}" for program in programs.split()}
        self.monkeypatch.setattr(setup.sys, "platform", platform)
        self.monkeypatch.setattr(setup.shutil, "which", paths.get)
        self.monkeypatch.setattr(setup.subprocess, "run", self.run)
        if user is None:  # Windows has no such function
            self.monkeypatch.delattr(setup.os, "geteuid", raising=False)
        else:
            self.monkeypatch.setattr(setup.os, "geteuid", lambda: user, raising=False)

    def run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.ran.append(command)
        return subprocess.CompletedProcess(command, 0)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    return System(monkeypatch)


def test_debian_as_root_installs(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.be("linux", "apt-get", 0)
    assert setup.install_system(ALL) == 0
    update, install = system.ran
    assert update[:2] == ["apt-get", "update"]
    assert install[:2] == ["apt-get", "install"]
    assert [word for word in install[2:] if not word.startswith("-")] == ALL
    assert "sudo" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("platform", "programs", "user", "missing", "commands"),
    [
        ("linux", "apt-get", 1000, ALL, [f"sudo apt-get install {' '.join(ALL)}", UBUNTU]),
        ("linux", "apt-get dnf", 1, LIBRARIES, [f"sudo apt-get install {' '.join(LIBRARIES)}"]),
        ("linux", "dnf", 1000, ALL, [f"sudo dnf install chromium pango harfbuzz {NOTO}"]),
        ("linux", "dnf", 0, LIBRARIES[:1], ["sudo dnf install pango harfbuzz"]),
        ("linux", "pacman", 1000, ALL,
         ["sudo pacman -S chromium pango harfbuzz fontconfig noto-fonts noto-fonts-cjk"]),
        ("linux", "zypper", 1000, ALL,
         [f"sudo zypper install chromium libpango-1_0-0 libharfbuzz-subset0 {NOTO}"]),
        ("linux", "zypper", 1000, ["fonts-lohit-deva"], [f"sudo zypper install {NOTO}"]),
        ("linux", "apk", 0, ALL, ["the package manager of this system"]),
        ("darwin", "brew", 501, [*LIBRARIES, "chromium"],
         ["brew install --cask google-chrome", "brew install pango", HOME_LIB]),
        ("darwin", "", 501, ["chromium"], ["brew install --cask google-chrome"]),
        ("win32", "winget", None, [*LIBRARIES, "chromium"],
         ["winget install Google.Chrome", "winget install MSYS2.MSYS2", MSYS2]),
        # MSYS2's pacman isn't Arch's.
        ("win32", "pacman", None, LIBRARIES, ["winget install MSYS2.MSYS2", MSYS2]),
    ],
)  # fmt: skip
def test_elsewhere_the_command_is_named_and_nothing_is_run(
    system: System, capsys: pytest.CaptureFixture[str], platform: str, programs: str,
    user: int | None, missing: list[str], commands: list[str],
) -> None:  # fmt: skip
    system.be(platform, programs, user)
    assert setup.install_system(missing) == 1
    assert system.ran == []
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == commands
    for need, found in {
        "Pango": {*LIBRARIES} & {*missing},
        "Chromium": "chromium" in missing,
        "fonts of Korean, Devanagari and Thai": {"fontconfig", *setup.FONTS} & {*missing},
    }.items():
        assert (need in said[0]) == bool(found)


def test_nothing_missing_is_nothing_to_say(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    system.be("linux", "apt-get", 0)
    assert setup.install_system([]) == 0
    assert system.ran == []


@pytest.mark.parametrize(("weasyprint", "missing"), [(0, []), (1, LIBRARIES[1:])])
def test_weasyprint_is_asked_where_python_finds_no_library(
    monkeypatch: pytest.MonkeyPatch, weasyprint: int, missing: list[str]
) -> None:
    """As on Windows, where the libraries have other names."""
    found = {setup.PDF_LIBRARIES[LIBRARIES[0]]: "libpango.so"}
    monkeypatch.setattr(setup.ctypes.util, "find_library", found.get)
    asked = subprocess.CompletedProcess([], weasyprint)
    monkeypatch.setattr(setup.subprocess, "run", lambda *_, **__: asked)
    assert setup.missing_libraries() == missing


def test_a_script_without_a_font_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    def listing(command: list[str]) -> bytes:
        return b"" if command[1] == f":charset={ord('न'):x}" else b"/a/font.ttf: A Font\n"

    monkeypatch.setattr(setup.shutil, "which", lambda _: "/usr/bin/fc-list")
    monkeypatch.setattr(setup.subprocess, "check_output", listing)
    assert setup.missing_fonts() == ["fonts-lohit-deva"]
    monkeypatch.setattr(setup.shutil, "which", lambda _: None)
    assert setup.missing_fonts() == ["fontconfig", *setup.FONTS]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ([], None),
        (["--pdf"], ["a library"]),
        (["--test"], ["a library", "chromium", "a font"]),
    ],
)
def test_the_pdf_needs_libraries_and_the_tests_all(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    arguments: list[str], asked: list[str] | None,
) -> None:  # fmt: skip
    stamp, tools, calls = tmp_path / "stamp", [], list[Any]()
    stamp.write_text(setup._wanted())
    system.be("linux", "", 1000)
    monkeypatch.setattr(setup, "STAMP", stamp)
    monkeypatch.setattr(setup, "install_node_tools", lambda: tools.append("node"))
    monkeypatch.setattr(setup, "browser", lambda: None)
    monkeypatch.setattr(setup, "missing_libraries", lambda: ["a library"])
    monkeypatch.setattr(setup, "missing_fonts", lambda: ["a font"])
    monkeypatch.setattr(setup, "install_system", lambda missing: calls.append(missing) or 1)
    assert setup.main(arguments) == (0 if asked is None else 1)
    assert calls == ([] if asked is None else [asked])
    assert tools == ["node"] * ("--test" in arguments)


def test_the_browser_of_this_machine_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup.browser() is not None
    monkeypatch.setattr(setup.shutil, "which", lambda _: None)
    monkeypatch.setattr(setup, "INSTALLED_BROWSERS", (sys.executable,))
    assert setup.browser() == sys.executable
    monkeypatch.setattr(setup, "INSTALLED_BROWSERS", ())
    assert setup.browser() is None
