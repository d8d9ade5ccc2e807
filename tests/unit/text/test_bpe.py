"""Byte-level BPE: every text comes back byte for byte; merges by hand; specials stay apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_guide.text import ByteBPE, Vocabulary, pretokens
from attention_guide.text.bpe_training import BYTE_ORDER, learn_byte_merges

TEXTS = ["low low low lower lowest", "newest newest widest", "你好 你好 🙂🙂"]


@pytest.fixture(scope="module")
def bpe():
    return ByteBPE.train(TEXTS, 300)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_every_text_comes_back(bpe, text):
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert bpe.decode_bytes(ids) == text.encode()
    assert all(0 <= index < len(bpe) for index in ids)
    assert b"".join(bpe.decode_bytes([index]) for index in ids) == text.encode()


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_pretokens_lose_nothing(text):
    assert "".join(pretokens(text)) == text


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=5), st.integers(0, 30))
def test_any_training_gives_a_tokenizer_of_at_most_that_size(texts, extra):
    bpe = ByteBPE.train(texts, 259 + extra)
    assert len(bpe) <= 259 + extra
    assert all(bpe.decode(bpe.encode(text)) == text for text in texts)


def test_merges_by_hand():
    # "low" occurs five times: (l, o) and (o, w) five times each, the tie to the lower ids.
    merges = learn_byte_merges(["low low low lower lowest"], 4)
    assert merges[0] == (b"l", b"o")
    assert merges[1] == (b"lo", b"w")
    assert merges[2] == (b"\x20", b"low")


def test_an_overlap_is_taken_from_the_left():
    bpe = ByteBPE.train(["aaaa"] * 2, 260)
    assert bpe.pieces("aaaaa") == ["aa", "aa", "a"]


def test_a_pair_that_is_too_rare_is_left():
    assert learn_byte_merges(["ab"], 5) == []
    assert learn_byte_merges(["ab"], 5, min_count=1) == [(b"a", b"b")]


def test_the_bytes_have_gpt2s_order():
    assert sorted(BYTE_ORDER) == list(range(256))
    assert (BYTE_ORDER[0], BYTE_ORDER[188], BYTE_ORDER[188 + 32]) == (33, 0, 32)


def test_specials_have_the_ids_of_a_vocabulary(bpe):
    assert (bpe.pad_id, bpe.bos_id, bpe.eos_id) == (0, 1, 2)
    assert (bpe.pad_id, bpe.eos_id) == (Vocabulary.pad_id, Vocabulary.eos_id)
    ids = bpe.encode("low", bos=True, eos=True)
    assert (ids[0], ids[-1]) == (1, 2)
    assert bpe.decode(ids) == "low"
    assert bpe.decode(ids, specials=True) == "<bos>low<eos>"


def test_a_text_cannot_smuggle_a_special_in(bpe):
    ids = bpe.encode("<eos><pad>")
    assert not {0, 1, 2} & set(ids)
    assert bpe.decode(ids) == "<eos><pad>"


def test_half_a_character_shows_as_such(bpe):
    ids = bpe.encode("é")
    assert bpe.decode(ids[:1]) == "\ufffd"


def test_a_long_word_is_merged_in_time(bpe):
    text = "low" * 20_000  # quadratic merging would take minutes
    assert bpe.decode(bpe.encode(text)) == text


def test_files_give_the_tokenizer_back(bpe, tmp_path):
    bpe.save(tmp_path)
    again = ByteBPE.load(tmp_path)
    assert (again.vocab, again.merges, again.specials) == (bpe.vocab, bpe.merges, bpe.specials)


def test_gpt2s_end_of_text_is_a_special(tmp_path):
    bpe = ByteBPE.train(TEXTS, 260, specials=())
    bpe.specials["<|endoftext|>"] = len(bpe)
    bpe.save(tmp_path)
    again = ByteBPE.load(tmp_path)
    assert again.specials == {"<|endoftext|>": 260}
    assert 260 not in again.encode("<|endoftext|>")


def test_what_is_wrong_is_named(bpe, tmp_path):
    with pytest.raises(ValueError, match="vocab_size: expected at least 259"):
        ByteBPE.train([], 258)
    with pytest.raises(ValueError, match=r"vocab: b'ab' has no id"):
        ByteBPE({bytes([b]): b for b in range(256)}, [(b"a", b"b")])
    with pytest.raises(ValueError, match="each given once"):
        ByteBPE({bytes([b]): b for b in range(256)}, [], {"<pad>": 0})
    with pytest.raises(ValueError, match="n, min_count"):
        learn_byte_merges([], -1)
    for train in (ByteBPE.train, learn_byte_merges):
        with pytest.raises(TypeError, match=r"texts: expected several.*; got one string: 'hello h"):
            train("hello hello", 262)
    with pytest.raises(TypeError, match=r"ids: expected an integer; got float: 3\.7"):
        bpe.decode([3.7])
    with pytest.raises(UnicodeEncodeError):
        bpe.encode("\ud800")
    with pytest.raises(KeyError):
        bpe.decode([10_000])
    bpe.save(tmp_path)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b c\n")
    with pytest.raises(ValueError, match="expected two pieces, got 'a b c'"):
        ByteBPE.load(tmp_path)
