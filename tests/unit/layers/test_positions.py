"""Position modules: tables equal to the functions, distances alone matter, limits are named."""

import pytest
import torch

from attention_guide.functional import alibi_bias, rope, rope_frequencies, t5_bias
from attention_guide.layers import (
    AlibiBias,
    LearnedPositions,
    RelativeBias,
    RotaryPositions,
    SinusoidalPositions,
    TokenEmbedding,
)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("pairing", ["half", "interleaved"])
def test_rotary_tables_are_the_function(pairing: str, dtype: torch.dtype) -> None:
    module = RotaryPositions(rope_frequencies(6), max_len=20, pairing=pairing).half().to(dtype)
    x = torch.randn(2, 3, 4, 8, dtype=dtype)
    for positions in (torch.tensor([0, 7, 3, 19]), torch.randint(0, 20, (2, 4))):
        expected = rope(x, positions, width=6, pairing=pairing)
        assert torch.equal(module(x, positions), expected)
    assert not module.state_dict()


def test_rotary_leaves_the_dtype_of_its_input() -> None:
    module = RotaryPositions(rope_frequencies(4), max_len=8)
    assert module(torch.randn(1, 1, 3, 4).bfloat16(), torch.arange(3)).dtype == torch.bfloat16


def test_rotary_beyond_its_tables_says_so() -> None:
    module = RotaryPositions(rope_frequencies(4), max_len=8)
    with pytest.raises(ValueError, match=r"positions: .* 0 to below max_len = 8; got 8"):
        module(torch.ones(1, 1, 4, 4), torch.arange(5, 9))


def test_biases_are_the_functions_and_know_distances_alone() -> None:
    relative = RelativeBias(4, n_buckets=8, max_distance=16)
    queries, keys = torch.arange(5, 9), torch.arange(9)
    assert torch.equal(AlibiBias(4)(queries, keys), alibi_bias(4, 4, 9))
    assert torch.equal(relative(queries, keys), t5_bias(relative.weight, 4, 9, max_distance=16))
    assert torch.equal(relative(queries + 3, keys + 3), relative(queries, keys))


@pytest.mark.parametrize("make", [SinusoidalPositions, LearnedPositions])
def test_added_positions_start_at_the_offset_and_end_at_max_len(make: type) -> None:
    module, x = make(4, max_len=10), torch.randn(2, 6, 4)
    parts = torch.cat([module(x[:, :2]), module(x[:, 2:], 2)], dim=1)
    assert torch.equal(parts, module(x))
    assert module(x, 4).shape == x.shape  # up to the last row of the table
    with pytest.raises(ValueError, match=r"max_len = 10; got \(2, 6, 4\) at offset 5"):
        module(x, 5)
    with pytest.raises(ValueError, match=r"x: expected \(B, T, D\) with D = 4; got \(2, 6, 3\)"):
        module(x[..., :3])


def test_embedding_scales_by_the_root_of_its_width() -> None:
    table = TokenEmbedding(5, 16)
    assert torch.equal(table(torch.tensor([[3]]))[0, 0], table.weight[3] * 4)
    with pytest.raises(TypeError, match="ids: expected an integer tensor"):
        table(torch.ones(1, 1))
    with pytest.raises(ValueError, match=r"ids: expected \(B, T\); got \(3,\)"):
        table(torch.ones(3, dtype=torch.long))
