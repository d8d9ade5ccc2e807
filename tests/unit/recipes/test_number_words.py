"""The recipe: pools, merges, a run in miniature, and alignments read at the right step."""

import pytest
import torch

from attention_guide.checkpoints import load_own
from attention_guide.data.numbers import number_pairs, number_vocabulary, number_words
from attention_guide.recipes import read_ledger
from attention_guide.recipes.bpe import apply_merges, learn_merges
from attention_guide.recipes.number_page import write_number_page
from attention_guide.recipes.number_words import (
    POOLS,
    SETTINGS,
    draw_from,
    german_merges,
    main,
    make_model,
)
from attention_guide.recipes.translation import (
    alignment_scores,
    attention_maps,
    score,
    translate,
)


class Parrot:
    """Writes the ids that it was given, whatever the source."""

    def __init__(self, rows):
        self.rows = torch.tensor(rows)

    def generate(self, src, *, max_len):
        return self.rows[: len(src), :max_len]


@pytest.mark.parametrize("pool", sorted(POOLS))
def test_pools_are_drawn_from_without_the_excluded(pool):
    first = draw_from(pool, 50, seed=0)
    second = draw_from(pool, 50, seed=1, exclude=first)
    assert len(set(first)) == 50
    assert all(POOLS[pool](number) for number in first + second)
    assert not set(first) & set(second)


def test_a_pool_that_is_too_small_says_so():
    with pytest.raises(ValueError, match="at most 900 for pool 'round above'"):
        draw_from("round above", 901, seed=0)


def test_both_models_have_the_same_size():
    sizes = [
        sum(p.numel() for p in make_model(family, number_vocabulary()).parameters())
        for family in ("transformer", "recurrent")
    ]
    assert abs(sizes[0] - sizes[1]) / sizes[0] < 0.01
    with pytest.raises(ValueError, match="family: expected"):
        make_model("gru", number_vocabulary())


def test_merges_by_hand():
    # "aa" occurs 3 times in "aaaa" and "aa"… as neighbours, "ab" once.
    assert learn_merges(["aaaa", "ab"], 1) == [("a", "a")]
    assert apply_merges("aaaaa", [("a", "a")]) == ["aa", "aa", "a"]
    assert learn_merges(["ab"], 5) == [("a", "b")]
    assert learn_merges(["ab"], 0) == []
    with pytest.raises(ValueError, match="n: expected 0 or more"):
        learn_merges(["ab"], -1)


def test_merged_german_is_still_german():
    split = german_merges(draw_from("all", 100, seed=0), 18)
    for number in (0, 21, 971_871):
        text = number_words(number, "de")
        assert "".join(split(text, "de")) == text
        assert split(number_words(number, "en"), "en")[0] != ""


@pytest.mark.parametrize("row", ["transformer", "gru-below", "transformer-bpe"])
def test_a_row_in_miniature(tmp_path, row, capsys):
    main([row, "--seeds", "0", "1", "--steps", "2", "--numbers", "5", "--into", str(tmp_path)])
    made = read_ledger("number-words", folder=tmp_path)[row]
    assert made.seeds == (0, 1)
    assert made.settings["steps"] == 2
    assert 0.0 <= made.metrics["exact match"].mean <= 1.0
    assert len(made.curves["exact match"]) == 2
    assert "exact match" in capsys.readouterr().out
    name = SETTINGS[row].checkpoint
    assert (tmp_path / f"{name}.safetensors").is_file() == (name is not None)
    if name:
        assert "2 steps of 64 pairs" in load_own(name, folder=tmp_path).card


def test_a_trained_row_becomes_a_script(tmp_path, capsys):
    options = ["--steps", "2", "--numbers", "5", "--into", str(tmp_path)]
    main(["transformer", "--seeds", "0", *options, "--javascript", str(tmp_path)])
    written = (tmp_path / "number-words-transformer.js").read_bytes()
    assert "number-words-transformer.js" in capsys.readouterr().out
    # From the checkpoint alone it is the same; a recurrent model has no script.
    main(["transformer", "--trained", "--into", str(tmp_path), "--javascript", str(tmp_path)])
    assert (tmp_path / "number-words-transformer.js").read_bytes() == written
    main(["gru", "--trained", "--javascript", str(tmp_path / "none")])
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="leaves a checkpoint"):
        write_number_page(SETTINGS["gru"], tmp_path)


def test_trials_may_not_touch_the_package():
    for arguments in (["--steps", "2"], ["--numbers", "5"], ["nonsense"], ["--trained"]):
        with pytest.raises(SystemExit):
            main(arguments)


def test_translating_keeps_the_order_and_stops_at_the_end():
    vocabulary = number_vocabulary()
    pairs = number_pairs([21, 3], [("en", "de")])
    outputs = [vocabulary.encode(pair.target, eos=True) for pair in pairs]
    rows = [outputs[1] + [0, 0], outputs[0]]  # the shorter source goes first
    written = translate(Parrot(rows), vocabulary, [pair.source for pair in pairs])
    assert written == [["ein", "und", "zwanzig"], ["drei"]]


def test_an_output_with_stray_specials_is_wrong():
    vocabulary = number_vocabulary()
    pairs = number_pairs([3], [("en", "de")])
    right = vocabulary.encode(["drei"])
    assert score(Parrot([[*right, 2]]), vocabulary, pairs)["exact match"] == 1.0
    assert score(Parrot([[0, *right, 2]]), vocabulary, pairs)["exact match"] == 0.0
    assert score(Parrot([[*right, 1, 2]]), vocabulary, pairs)["exact match"] == 0.0


def test_alignments_by_hand():
    pairs = number_pairs([21], [("en", "de")])
    # Columns: tag, twenty, -, one, end; rows: ein, und, zwanzig, end.
    gold = torch.zeros(4, 5)
    gold[[0, 1, 2, 3], [3, 2, 1, 4]] = 1.0
    assert alignment_scores([gold], pairs) == {"agreement": 1.0, "aer": 0.0}
    late = alignment_scores([gold], pairs, shift=1)
    # und -> twenty, zwanzig -> end, ein -> "-": every one wrong.
    assert late == {"agreement": 0.0, "aer": 1.0}
    shifted = torch.cat([torch.zeros(1, 5), gold])[:4]
    assert alignment_scores([shifted], pairs, shift=1)["agreement"] == 1.0


@pytest.mark.parametrize("family", ["transformer", "recurrent"])
def test_maps_are_cut_to_each_pair_and_sum_to_one(family):
    torch.manual_seed(0)
    vocabulary = number_vocabulary()
    model = make_model(family, vocabulary).eval()
    pairs = number_pairs([7, 971_871], [("de", "fr")])
    maps = attention_maps(model, vocabulary, pairs)
    assert len(maps) == (2 if family == "transformer" else 1)
    for layer in maps.values():
        for weights, pair in zip(layer, pairs, strict=True):
            assert weights.shape == (len(pair.target) + 1, len(pair.source) + 1)
            torch.testing.assert_close(weights.sum(-1), torch.ones(len(weights)))
