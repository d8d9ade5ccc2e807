"""The published sets, on small files of the same format that are made here."""

import hashlib
import io
import struct
import wave
from dataclasses import replace

import pytest
import torch

from attention_guide.data import public_media, public_text
from attention_guide.data.archives import ArchiveError
from attention_guide.data.public import LOADERS, PUBLIC_CARDS, load_public
from tests.unit.data.test_archives import tar, zipped

IMDB = {
    "aclImdb/README": b"about",
    "aclImdb/train/pos/1_8.txt": "Très good".encode(),
    "aclImdb/train/pos/0_10.txt": b"Best.<br />",
    "aclImdb/train/neg/0_2.txt": b"Bad",
    "aclImdb/train/unsup/0_0.txt": b"who knows",
    "aclImdb/train/urls_pos.txt": b"http",
    "aclImdb/test/neg/3_1.txt": b"Worst",
    "aclImdb/test/pos/3_9.txt": b"Fine",
}
SST2 = {
    "SST-2/train.tsv": b'sentence\tlabel\nhide new secretions \t0\na "quoted" phrase\t1\n',
    "SST-2/dev.tsv": b"sentence\tlabel\nit 's charming .\t1\n",
    "SST-2/test.tsv": b"index\tsentence\n0\tuneasy mishmash .\n",
    "SST-2/original/README.txt": b"about",
}


def sound(samples, rate=16_000):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return buffer.getvalue()


SPEECH = {
    "./validation_list.txt": b"two/bbbbbbbb_nohash_0.wav\n",
    "./testing_list.txt": b"one/cccccccc_nohash_1.wav\n",
    "./one/aaaaaaaa_nohash_0.wav": sound([1, -2, 32767]),
    "./one/cccccccc_nohash_1.wav": sound([4]),
    "./two/bbbbbbbb_nohash_0.wav": sound([5, -32768]),
    "./bed/aaaaaaaa_nohash_0.wav": sound([6]),
    "./_background_noise_/hum.wav": sound([7] * 9),
}


def cifar(n=2, label=None):
    def batch(seed):
        colours = b"".join(bytes([seed + c]) * 1024 for c in range(3))
        labels = [(seed + i) % 10 if label is None else label for i in range(n)]
        return b"".join(bytes([number]) + colours for number in labels)

    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    return {f"cifar-10-batches-bin/{name}": batch(i) for i, name in enumerate(names)}


def put(folder, source, files, make=tar):
    path = make(folder / source.filename, files)
    return replace(source, digest=hashlib.new(source.algorithm, path.read_bytes()).hexdigest())


def test_imdb(tmp_path, monkeypatch):
    source = put(tmp_path, public_text.IMDB, IMDB)
    with pytest.raises(ArchiveError, match="expected md5 7c2ac02c"):
        load_public("imdb", tmp_path)  # small as it is, it isn't the published file
    monkeypatch.setattr(public_text, "IMDB", source)
    splits = load_public("imdb", tmp_path)
    assert splits["train"] == [("Bad", 0), ("Best.<br />", 1), ("Très good", 1)]
    assert splits["test"] == [("Worst", 0), ("Fine", 1)]


def test_sst2(tmp_path):
    put(tmp_path, public_text.SST2, SST2, zipped)
    splits = load_public("sst2", tmp_path, verify=False)
    assert splits["train"] == [("hide new secretions", 0), ('a "quoted" phrase', 1)]
    assert splits["dev"] == [("it 's charming .", 1)]
    assert splits["test"] == [("uneasy mishmash .", -1)]


@pytest.mark.parametrize("languages", [("en", "de"), ("de", "en")])
def test_multi30k(tmp_path, monkeypatch, languages):
    files = {"en": "A man.\nTwo dogs.\n", "de": "Ein Mann.\nZwei Hunde. \n"}
    sources = {}
    for split, source in public_text.MULTI30K.items():
        prefix = {"train": "train", "valid": "val", "test": "test"}[split]
        made = {f"{prefix}.{lang}": text.encode() for lang, text in files.items()}
        sources[split] = put(tmp_path, source, {"._" + prefix + ".en": b"litter", **made})
    monkeypatch.setattr(public_text, "MULTI30K", sources)
    splits = load_public("multi30k", tmp_path, languages=languages)
    wanted = [("A man.", "Ein Mann."), ("Two dogs.", "Zwei Hunde.")]
    assert splits["valid"] == [p if languages[0] == "en" else p[::-1] for p in wanted]
    assert set(splits) == {"train", "valid", "test"}


def test_cifar10(tmp_path, monkeypatch):
    source = put(tmp_path, public_media.CIFAR10, cifar())
    monkeypatch.setattr(public_media, "CIFAR10", source)
    splits = load_public("cifar10", tmp_path)
    images, labels = splits["train"]
    assert (images.shape, images.dtype) == ((10, 3, 32, 32), torch.uint8)
    assert labels.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert images[2, :, 0, 0].tolist() == [1, 2, 3]
    assert splits["test"].labels.tolist() == [5, 6]


def test_speech_commands(tmp_path, monkeypatch):
    source = put(tmp_path, public_media.SPEECH_COMMANDS, SPEECH)
    monkeypatch.setattr(public_media, "SPEECH_COMMANDS", source)
    splits = load_public("speech_commands", tmp_path, words=["one", "two"])
    found = {name: [(c.word, c.speaker) for c in clips] for name, clips in splits.items()}
    assert found == {
        "train": [("one", "aaaaaaaa")],
        "validation": [("two", "bbbbbbbb")],
        "test": [("one", "cccccccc")],
    }
    assert splits["train"][0].samples.tolist() == [1, -2, 32767]
    assert splits["train"][0].samples.dtype == torch.int16


@pytest.mark.parametrize(
    ("name", "source", "files", "message"),
    [
        ("imdb", public_text.IMDB, {"readme": b""}, "has no examples for train, test"),
        ("sst2", public_text.SST2, {"SST-2/dev.tsv": b""}, r"has no SST-2/train\.tsv"),
        ("sst2", public_text.SST2, {**SST2, "SST-2/dev.tsv": b"a\tb\nno label\n"},
         r"dev\.tsv has a line of another form"),
        ("cifar10", public_media.CIFAR10, {"data_batch_1.bin": b""}, r"has no data_batch_2\.bin"),
        ("cifar10", public_media.CIFAR10, cifar(label=10), "expected classes from 0 to 9"),
        ("cifar10", public_media.CIFAR10, {k: v[1:] for k, v in cifar().items()}, "of 3073 bytes"),
        ("speech_commands", public_media.SPEECH_COMMANDS, SPEECH, "lacks the words"),
        ("speech_commands", public_media.SPEECH_COMMANDS,
         {"one/aaaaaaaa_nohash_0.wav": sound([1], rate=8_000)}, "one channel of 16 bits at 16 kHz"),
        ("speech_commands", public_media.SPEECH_COMMANDS,
         {"one/aaaaaaaa_nohash_0.wav": b"RIFF"}, "is no sound file"),
    ],
)  # fmt: skip
def test_what_is_not_of_the_format_is_refused(tmp_path, name, source, files, message):
    put(tmp_path, source, files)
    with pytest.raises(ArchiveError, match=message):
        load_public(name, tmp_path, verify=False)


def test_sides_of_unequal_length_and_other_languages_are_refused(tmp_path):
    put(tmp_path, public_text.MULTI30K["train"], {"train.en": b"a\nb\n", "train.de": b"a\n"})
    with pytest.raises(ArchiveError, match="2 lines against 1"):
        load_public("multi30k", tmp_path, verify=False)
    with pytest.raises(ValueError, match="languages: expected 'en' and 'de'"):
        load_public("multi30k", tmp_path, languages=("en", "fr"))


@pytest.mark.parametrize("name", LOADERS)
def test_a_missing_file_is_an_error_that_says_what_to_do(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pass download=True .* by hand"):
        load_public(name, tmp_path)


def test_every_public_set_has_a_card_and_other_names_are_refused():
    assert set(PUBLIC_CARDS) == set(LOADERS)
    assert all(card.name == name for name, card in PUBLIC_CARDS.items())
    with pytest.raises(ValueError, match="name: expected one of cifar10, imdb"):
        load_public("mnist", "x")
