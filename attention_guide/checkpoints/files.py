"""Files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write to a temporary file beside `path`, flush it to the disk, then rename.

    Whoever reads `path` meanwhile sees the old content or the new, never half of either, and an
    interrupted write leaves the old.

    Args:
        path: Where the content goes; its folder is made where it is missing.
        content: The bytes.

    Raises:
        OSError: The folder can't be made or written to.

    Examples:
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_atomically(folder / "results" / "row.json", b"{}")
        >>> [file.name for file in (folder / "results").iterdir()]
        ['row.json']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files for their owner alone; these are for everybody to read.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
