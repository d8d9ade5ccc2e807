"""Archives: safe names only, checksums compared, a network only on demand, errors that help."""

import hashlib
import io
import random
import tarfile
import urllib.error
import urllib.request
import zipfile
from functools import partial

import pytest

from attention_guide.data.archives import ArchiveError, Source, fetch, members


def tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                archive.addfile(info)
    return path


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


MAKERS = [tar, zipped]


@pytest.mark.parametrize("make", MAKERS)
def test_members_are_read_in_order_without_folders_and_litter(make, tmp_path):
    files = {"a/b.txt": b"one", "a/._b.txt": b"litter", "c": b"", "__MACOSX/c": b"x"}
    path = make(tmp_path / "x", files)
    assert list(members(path)) == [("a/b.txt", b"one"), ("c", b"")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x"]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "..\\evil"])
def test_names_that_lead_out_are_refused(make, name, tmp_path):
    path = make(tmp_path / "x", {"good": b"1", name: b"2"})
    with pytest.raises(ArchiveError, match="leads out of the archive"):
        list(members(path))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(kind, tmp_path):
    path = tar(tmp_path / "x.tar.gz", {"passwd": (kind, "/etc/passwd")})
    with pytest.raises(ArchiveError, match="passwd is a link or a device"):
        list(members(path))


def test_links_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link is a link"):
        list(members(tmp_path / "x.zip"))


@pytest.mark.parametrize("make", MAKERS)
def test_a_bomb_is_refused(make, tmp_path):
    path = make(tmp_path / "x", {"bomb": bytes(100_000)})
    with pytest.raises(ArchiveError, match="bomb has more than 1,000 bytes"):
        list(members(path, limit=1_000))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.6, 0.9])
def test_a_truncated_archive_is_refused(make, keep, tmp_path):
    content = hashlib.sha256(b"x").digest() * 3_000  # doesn't compress to nothing
    path = make(tmp_path / "x", {f"f{i}": content + bytes([i]) * i for i in range(9)})
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(ArchiveError, match="truncated"):
        list(members(path))


def packed(method):
    def make(path, files):
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return make


@pytest.mark.parametrize(
    "make",
    [
        *(partial(tar, mode=f"w:{kind}") for kind in ("gz", "bz2", "xz")),
        *map(packed, (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
    ],
)
def test_damage_is_told_by_our_own_error(make, tmp_path):
    files = {f"f{i}": hashlib.sha256(bytes([i])).digest() * 300 for i in range(5)}
    path = make(tmp_path / "x", files)
    whole, draw = path.read_bytes(), random.Random(0)
    caught = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(8):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            # A zip keeps no checksum of its names.
            assert set(dict(members(path)).values()) <= set(files.values())
        except ArchiveError:
            caught += 1
    assert caught > 140


def test_a_compressed_tar_is_held_against_its_checksum(tmp_path):
    path = tar(tmp_path / "x.tar.gz", {"f": b"content"})
    data = bytearray(path.read_bytes())
    data[-8] ^= 1  # the checksum's first byte; the size's four follow it
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="damaged"):
        list(members(path))


@pytest.fixture
def source():
    return Source("https://example.org/x.bin", hashlib.sha256(b"right").hexdigest(), "sha256", 5)


class Answer(io.BytesIO):
    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def test_nothing_is_fetched_unasked_and_the_error_says_what_to_do(source, tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: pytest.fail("a network"))
    wanted = r"x\.bin: there is no such file; pass download=True to fetch it \(5 bytes\), or put"
    with pytest.raises(FileNotFoundError, match=wanted):
        fetch(source, tmp_path)
    (tmp_path / "x.bin").write_bytes(b"right")
    assert fetch(source, tmp_path, download=True).read_bytes() == b"right"


def test_a_download_that_is_right_stays_and_a_wrong_one_leaves_nothing(
    source, tmp_path, monkeypatch
):
    answers = [b"wrong", b"right"]
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: Answer(answers.pop(0)))
    with pytest.raises(ArchiveError, match=r"expected sha256 .* fetch it again from https"):
        fetch(source, tmp_path / "new", download=True)
    assert list((tmp_path / "new").iterdir()) == []
    path = fetch(source, tmp_path / "new", download=True)
    assert list((tmp_path / "new").iterdir()) == [path]


def test_no_network_is_told_with_a_way_out(source, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(ConnectionError, match=r"no route.*by hand"):
        fetch(source, tmp_path, download=True)
    assert list(tmp_path.iterdir()) == []


def test_an_altered_file_is_refused(source, tmp_path):
    (tmp_path / "x.bin").write_bytes(b"wrong")
    with pytest.raises(ArchiveError, match="expected sha256"):
        fetch(source, tmp_path)
    assert fetch(source, tmp_path, verify=False).exists()


def test_only_https_is_fetched(tmp_path):
    with pytest.raises(ValueError, match="url: expected https"):
        fetch(Source("http://example.org/x", "0", "md5"), tmp_path, download=True)
