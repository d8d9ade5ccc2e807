"""A fresh environment that has only the project's wheel with its `book` extra."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

from book import downloads, notebooks, setup
from book.chapters import ROOT

FOLDER = ROOT / ".cache" / "wheel-env"
PASSES = ROOT / ".cache" / "notebook-runs"
TIMEOUT_SECONDS = 550
UTF8 = {"PYTHONUTF8": "1"}


class WheelEnvironment:
    """Runs notebooks and scripts as a reader does, and remembers which have passed."""

    def __init__(self) -> None:
        self.wheel = downloads.wheel()
        self.key = _dependency_key(self.wheel)
        self.folder = FOLDER / self.key
        self.bin = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / ("python.exe" if os.name == "nt" else "python")
        self._wheel_hash = hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        self._prepare()

    def _prepare(self) -> None:
        stamp = self.folder / ".ready"
        if not stamp.exists():
            shutil.rmtree(FOLDER, ignore_errors=True)
            venv.create(self.folder, with_pip=True)
            setup.install_torch(self.python)
        if not stamp.exists() or stamp.read_text() != self._wheel_hash:
            self.pip("uninstall", "-y", "attention-guide")
            # What a notebook's first cell does on a reader's machine.
            self.run("-c", notebooks.install_cell(self.wheel.as_uri()).source)
            stamp.write_text(self._wheel_hash)

    def pip(self, *arguments: str) -> None:
        self.run("-m", "pip", "-q", "--disable-pip-version-check", *arguments)

    def run(self, *arguments: str, cwd: Path | None = None, backend: str = "Agg") -> str:
        """Run this environment's Python, away from the repository; its stdout, or an error.

        An empty `backend` leaves the choice to the kernel, which draws into the notebook.
        """
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd or self.folder,
            env=self.variables() | ({"MPLBACKEND": backend} if backend else {}) | UTF8,
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(arguments)[:200]}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def variables(self) -> dict[str, str]:
        """The reader's environment: nothing of the repository or of the user's Jupyter."""
        foreign = ("PYTHONPATH", "VIRTUAL_ENV", "JUPYTER", "MPL", "MATPLOTLIB", "COVERAGE")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        home = self.folder / "home"
        return kept | {
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "MPLCONFIGDIR": str(home / "matplotlib"),
            "OMP_NUM_THREADS": "1",
        }

    def notebook(self, source: Path, folder: Path) -> dict[str, object]:
        """Execute a notebook from top to bottom; the executed notebook."""
        folder.mkdir(parents=True, exist_ok=True)
        out = folder / source.name
        shutil.copy(source, out)
        execute = "from nbclient.cli import main; main()"
        options = ["--inplace", f"--timeout={TIMEOUT_SECONDS}"]
        self.run("-c", execute, *options, str(out), cwd=folder, backend="")
        executed: dict[str, object] = json.loads(out.read_text(encoding="utf-8"))
        return executed

    def passed(self, *files: Path) -> Path:
        """Where the pass of these very bytes, with this wheel, in this environment is noted."""
        digest = hashlib.sha256((self._wheel_hash + self.key).encode())
        for file in files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        digest.update(Path(__file__).read_bytes())
        return PASSES / digest.hexdigest()[:20]


def _dependency_key(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode("utf-8")
    wanted = [line for line in metadata.splitlines() if line.startswith(("Requires", "Provides"))]
    text = "\n".join([platform.python_version(), sys.executable, setup.TORCH_VERSION, *wanted])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
