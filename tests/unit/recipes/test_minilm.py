"""The numbers that stand for a real BERT are the model's own."""

from __future__ import annotations

import pytest
import torch

from attention_guide.checkpoints import Pretrained
from attention_guide.recipes import minilm


def test_the_file_is_what_the_model_computes(pretrained: Pretrained) -> None:
    kept, found = minilm.read(), minilm.measure(pretrained)
    weights, pairs = kept.pop("weights"), kept.pop("pairs")
    assert (torch.tensor(weights) - torch.tensor(found.pop("weights"))).abs().max() <= 1e-5
    for pair, again in zip(pairs, found.pop("pairs"), strict=True):
        assert pair.pop("similarity") == pytest.approx(again.pop("similarity"), abs=1e-5)
        assert pair == again
    assert kept == found


def test_similarity_is_the_dot_product_of_embeddings(pretrained: Pretrained) -> None:
    texts = ["Rain fell all night.", "It was dry by day."]
    x, y = pretrained.embed(texts)
    assert minilm.similarity(pretrained, *texts) == pytest.approx(float(x @ y), abs=1e-5)
    with pytest.raises(ValueError, match=r"without: expected one of .*; got 'snow'"):
        minilm.similarity(pretrained, *texts, "snow")
