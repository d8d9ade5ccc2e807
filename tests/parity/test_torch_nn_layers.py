"""Equal to torch.nn with copied weights, forward and backward, padded, in both norm orders."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_guide.checkpoints.torch_nn import (
    DECODER_LAYER,
    ENCODER_LAYER,
    attention_from_torch,
    attention_state_from_torch,
    attention_state_to_torch,
    decoder_block_from_torch,
    encoder_block_from_torch,
    state_from_torch,
)
from attention_guide.functional import causal_mask, padding_mask
from attention_guide.layers import MultiHeadAttention, RMSNorm

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}
B, T, S, D, H = 3, 5, 7, 24, 4
LENGTHS, TGT_LENGTHS = [7, 4, 1], [5, 3, 1]
WHAT = {
    "test_multihead_self_attention": ("MultiheadAttention", "MultiHeadAttention, self"),
    "test_multihead_cross_attention": ("MultiheadAttention", "MultiHeadAttention, cross"),
    "test_encoder_layer": ("TransformerEncoderLayer", "EncoderBlock"),
    "test_decoder_layer": ("TransformerDecoderLayer", "DecoderBlock"),
}
# What `close` saw in the running test.
ERRORS: dict[torch.dtype, float] = {}

dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
norm_orders = pytest.mark.parametrize("norm_first", [False, True])


@pytest.fixture(autouse=True)
def _recorded(request: pytest.FixtureRequest, parity_record: Any) -> Iterator[None]:
    """Keep the greatest error of each test that compares, for the table in the book."""
    ERRORS.clear()
    yield
    for dtype, error in ERRORS.items():
        reference, what = WHAT[request.function.__name__]
        bound, name = TOLERANCE[dtype], str(dtype).removeprefix("torch.")
        parity_record(f"torch {reference}", f"{what}, forward and backward", name, error, bound)


def close(ours: Tensor, theirs: Tensor, real: Tensor | None = None) -> None:
    """Compare, at real positions only: what padded queries compute is read by nobody."""
    error = (ours - theirs).abs()
    if real is not None:
        error = error[real]
    assert error.max() <= TOLERANCE[ours.dtype], f"{error.max():.2e}"
    ERRORS[ours.dtype] = max(float(error.detach().max()), ERRORS.get(ours.dtype, 0.0))


def same_gradients(
    ours: nn.Module,
    theirs: nn.Module,
    rename: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
) -> None:
    """Compare the gradient of every parameter, each under our name."""
    expected = rename({n: p.grad for n, p in theirs.named_parameters() if p.grad is not None})
    got = {n: p.grad for n, p in ours.named_parameters()}
    assert got.keys() == expected.keys()
    for name, gradient in got.items():
        assert gradient is not None, name
        close(gradient, expected[name])


def leaf(*shape: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same random numbers as two leaves of two graphs."""
    x = torch.randn(*shape, dtype=dtype)
    return x.clone().requires_grad_(), x.clone().requires_grad_()


def scramble(module: nn.Module) -> None:
    """Norm gains of 1 and biases of 0 would hide a mix-up."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)


@dtypes
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_multihead_self_attention(dtype: torch.dtype, bias: bool, causal: bool) -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(D, H, bias=bias, batch_first=True, dtype=dtype)
    scramble(theirs)
    ours = attention_from_torch(theirs)
    x, y = leaf(B, T, D, dtype=dtype)
    mask = padding_mask(TGT_LENGTHS, T)
    hidden = ~causal_mask(T) if causal else None
    expected = theirs(y, y, y, key_padding_mask=~mask[:, 0, 0], attn_mask=hidden)[0]
    got = ours(x, mask=mask, causal=causal)
    close(got, expected)
    direction = torch.randn_like(got)
    (got * direction).sum().backward()
    (expected * direction).sum().backward()
    close(x.grad, y.grad)
    same_gradients(ours, theirs, attention_state_from_torch)


@dtypes
@pytest.mark.parametrize("d_memory", [D, 10])
def test_multihead_cross_attention(dtype: torch.dtype, d_memory: int) -> None:
    torch.manual_seed(1)
    theirs = nn.MultiheadAttention(D, H, kdim=d_memory, vdim=d_memory, batch_first=True)
    theirs = theirs.to(dtype)
    scramble(theirs)
    ours = attention_from_torch(theirs)
    (x, y), (memory, their_memory) = (
        leaf(B, n, d, dtype=dtype) for n, d in ((T, D), (S, d_memory))
    )
    mask = padding_mask(LENGTHS, S)
    expected, weights = theirs(y, their_memory, their_memory, key_padding_mask=~mask[:, 0, 0])
    got = ours(x, memory, mask=mask)
    close(got, expected)
    got.square().sum().backward()
    expected.square().sum().backward()
    close(x.grad, y.grad)
    close(memory.grad, their_memory.grad)
    same_gradients(ours, theirs, attention_state_from_torch)
    assert weights.shape == (B, T, S)


@dtypes
@norm_orders
@pytest.mark.parametrize("activation", [F.relu, F.gelu])
@pytest.mark.parametrize("bias", [True, False])
def test_encoder_layer(
    dtype: torch.dtype, norm_first: bool, activation: Callable[[Tensor], Tensor], bias: bool
) -> None:
    torch.manual_seed(2)
    theirs = nn.TransformerEncoderLayer(
        D, H, 40, activation=activation, norm_first=norm_first, batch_first=True, bias=bias,
        dropout=0.0, layer_norm_eps=1e-4, dtype=dtype,
    )  # fmt: skip
    scramble(theirs)
    ours = encoder_block_from_torch(theirs)
    x, y = leaf(B, S, D, dtype=dtype)
    mask = padding_mask(LENGTHS, S)
    real = mask[:, 0, 0]
    got, expected = ours(x, mask=mask), theirs(y, src_key_padding_mask=~real)
    close(got, expected, real)
    # The loss reads real positions only, as a loss does.
    direction = torch.randn_like(got) * real[..., None]
    (got * direction).sum().backward()
    (expected * direction).sum().backward()
    close(x.grad, y.grad)
    same_gradients(ours, theirs, lambda state: state_from_torch(state, ENCODER_LAYER))


@dtypes
@norm_orders
def test_decoder_layer(dtype: torch.dtype, norm_first: bool) -> None:
    torch.manual_seed(3)
    theirs = nn.TransformerDecoderLayer(
        D, H, 40, norm_first=norm_first, batch_first=True, dropout=0.0, dtype=dtype
    )
    scramble(theirs)
    ours = decoder_block_from_torch(theirs)
    (x, y), (memory, their_memory) = (leaf(B, n, D, dtype=dtype) for n in (T, S))
    mask, memory_mask = padding_mask(TGT_LENGTHS, T), padding_mask(LENGTHS, S)
    real = mask[:, 0, 0]
    got = ours(x, memory, mask=mask, memory_mask=memory_mask)
    expected = theirs(
        y, their_memory, tgt_mask=~causal_mask(T), tgt_key_padding_mask=~real,
        memory_key_padding_mask=~memory_mask[:, 0, 0],
    )  # fmt: skip
    close(got, expected, real)
    direction = torch.randn_like(got) * real[..., None]
    (got * direction).sum().backward()
    (expected * direction).sum().backward()
    close(x.grad, y.grad)
    close(memory.grad, their_memory.grad)
    same_gradients(ours, theirs, lambda state: state_from_torch(state, DECODER_LAYER))


def test_attention_weights_there_and_back() -> None:
    theirs = nn.MultiheadAttention(D, H).state_dict()
    back = attention_state_to_torch(attention_state_from_torch(theirs))
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], x) for name, x in theirs.items())


def test_what_torch_has_no_place_for_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="q_norm"):
        attention_state_to_torch(MultiHeadAttention(8, 2, qk_norm=RMSNorm).state_dict())
    with pytest.raises(ValueError, match="one shape"):
        attention_state_to_torch(MultiHeadAttention(8, 4, 2).state_dict())
    with pytest.raises(ValueError, match="bias_k"):
        attention_from_torch(nn.MultiheadAttention(8, 2, add_bias_kv=True))
    with pytest.raises(ValueError, match="add_zero_attn"):
        attention_from_torch(nn.MultiheadAttention(8, 2, add_zero_attn=True))
    with pytest.raises(ValueError, match="table"):
        state_from_torch(nn.TransformerDecoderLayer(8, 2, 8).state_dict(), ENCODER_LAYER)
