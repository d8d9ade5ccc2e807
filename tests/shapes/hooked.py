"""Runs under the checker only (test_shapes.py names this file): the checker is awake on each floor.

Each call breaks a shape that our own validation would report in an ordinary run.
"""

from __future__ import annotations

from collections.abc import Callable

import jaxtyping
import pytest
import torch

from attention_guide.functional import attention_weights
from attention_guide.layers import LayerNorm
from attention_guide.layers.heads import merge_heads
from attention_guide.models import Transformer, TransformerConfig

TINY = TransformerConfig(5, 5, d_model=4, n_heads=2, d_ff=4, n_layers=1)


@pytest.mark.parametrize(
    "broken",
    [
        lambda: attention_weights(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 5)),
        lambda: merge_heads(torch.ones(2, 3, 4)),
        lambda: LayerNorm(4)(torch.ones(4, dtype=torch.int64)),
        lambda: Transformer(TINY)(torch.ones(3, dtype=torch.int64), torch.ones(1, 3).long()),
    ],
    ids=["functional", "layers helper", "layers", "models"],
)
def test_the_checker_is_awake(broken: Callable[[], object]) -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        broken()
