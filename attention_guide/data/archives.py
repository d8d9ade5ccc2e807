"""Published archives: fetched only when asked to, checked, read, and never unpacked."""

from __future__ import annotations

import hashlib
import lzma
import os
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

_BLOCK = 1 << 20
# What the readers raise where bytes were altered; zipfile takes some for encryption, or for formats
# that it doesn't have.
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError,
    RuntimeError, UnicodeDecodeError, IndexError,
)  # fmt: skip


class ArchiveError(ValueError):
    """An archive that must not be used: wrong checksum, truncated, or with unsafe members."""


@dataclass(frozen=True)
class Source:
    """Where a published file is, and what it must be.

    Attributes:
        url: Its address.
        digest: The published checksum.
        algorithm: Of which kind: MD5 tells an accident, only SHA-256 an attack.
        size_bytes: Its size, 0 where nobody publishes it.
    """

    url: str
    digest: str
    algorithm: Literal["md5", "sha256"]
    size_bytes: int = 0

    @property
    def filename(self) -> str:
        """The name of the file on disk: the last part of the address."""
        return self.url.rsplit("/", 1)[-1]

    def verify(self, path: Path) -> None:
        """Compare a file with the published checksum.

        Args:
            path: The file.

        Raises:
            ArchiveError: It is another file, with what to do.
        """
        digest = _new_digest(self.algorithm)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        if digest.hexdigest() != self.digest:
            raise ArchiveError(
                f"{path}: expected {self.algorithm} {self.digest}, got {digest.hexdigest()} "
                f"({path.stat().st_size:,} bytes); delete it and fetch it again from {self.url}"
            )


def fetch(
    source: Source, folder: str | Path, *, download: bool = False, verify: bool = True
) -> Path:
    """The file of a source in a folder; the network is used only if `download` says so.

    Args:
        source: What to find.
        folder: Where it is, or goes.
        download: Whether to fetch it if it isn't there.
        verify: Whether to compare it with its checksum.

    Returns:
        The file.

    Raises:
        FileNotFoundError: It isn't there and wasn't to be fetched, with what to do.
        ConnectionError: It couldn't be fetched, with what to do.
        ArchiveError: Its checksum is another.
    """
    path = Path(folder) / source.filename
    by_hand = f"put the file of {source.url} there by hand"
    if not path.exists():
        if not download:
            size = f" ({source.size_bytes:,} bytes)" if source.size_bytes else ""
            raise FileNotFoundError(
                f"{path}: there is no such file; pass download=True to fetch it{size}, or {by_hand}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _download(source, path)
        except (urllib.error.URLError, TimeoutError) as error:
            raise ConnectionError(
                f"{path}: couldn't be fetched ({error}); try again later, or {by_hand}"
            ) from error
    if verify:
        source.verify(path)
    return path


def members(path: str | Path, *, limit: int = 256 << 20) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in a zip or tar archive; nothing is written to disk.

    Args:
        path: The archive.
        limit: The most bytes a member may have when it is unpacked.

    Yields:
        Names with forward slashes and contents, in the archive's order; folders and the files
        that macOS adds (`._name`) are left out.

    Raises:
        ArchiveError: A name leads out of the archive, a member is a link or a device or too
            large, or the archive is damaged, truncated or none at all. A compressed tar has one
            checksum, at its end: what comes before is told from damage after the last member.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            yield from _zip_members(path, limit)
        else:
            yield from _tar_members(path, limit)
    except _DAMAGE as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ArchiveError(f"{path}: truncated, damaged or no archive ({error})") from error


def _zip_members(path: Path, limit: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _safe(path, info.filename)
            if info.is_dir() or _is_litter(name):
                continue
            if (info.external_attr >> 16) & 0o170000 == 0o120000:
                raise ArchiveError(f"{path}: {name} is a link")
            with archive.open(info) as file:
                content = file.read(limit + 1)  # the size that the entry states may be a lie
            yield name, _not_too_large(path, name, content, limit)


def _tar_members(path: Path, limit: int) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for info in archive:
            name = _safe(path, info.name)
            if info.isdir() or _is_litter(name):
                continue
            file = archive.extractfile(info) if info.isreg() else None
            if file is None:
                raise ArchiveError(f"{path}: {name} is a link or a device, not a file")
            content = file.read(limit + 1)
            if len(content) < min(info.size, limit):
                raise ArchiveError(f"{path}: truncated in {name}")
            yield name, _not_too_large(path, name, content, limit)
        # The last member lies before the checksum of the whole, which only the end is held against.
        while archive.fileobj is not None and archive.fileobj.read(_BLOCK):
            pass


def _safe(path: Path, name: str) -> str:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name.split("/")[0]:
        raise ArchiveError(f"{path}: {name!r} leads out of the archive")
    return str(parts)


def _is_litter(name: str) -> bool:
    return name.rsplit("/", 1)[-1].startswith("._") or name.startswith("__MACOSX/")


def _not_too_large(path: Path, name: str, content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise ArchiveError(f"{path}: {name} has more than {limit:,} bytes")
    return content


def _download(source: Source, path: Path) -> None:
    if not source.url.startswith("https://"):
        raise ValueError(f"url: expected https, got {source.url}")
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            with urllib.request.urlopen(source.url, timeout=60) as answer:
                while block := answer.read(_BLOCK):
                    file.write(block)
            file.flush()
            os.fsync(file.fileno())
        source.verify(Path(temporary))
        os.replace(temporary, path)  # only a whole and right file ever has the name
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _new_digest(algorithm: str) -> hashlib._Hash:
    return hashlib.sha256() if algorithm == "sha256" else hashlib.md5(usedforsecurity=False)
