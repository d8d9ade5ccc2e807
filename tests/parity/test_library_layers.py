"""Equal to the layers of x-transformers and Keras with copied weights, forward and backward."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")  # read when keras is first imported

import keras
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_guide.functional import padding_mask
from attention_guide.layers import (
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
)

with warnings.catch_warnings():  # it calls the deprecated torch.jit.script while it is imported
    warnings.simplefilter("ignore", DeprecationWarning)
    from x_transformers import Decoder, Encoder
    from x_transformers.x_transformers import Attention

B, T, S, D, H, K = 3, 5, 7, 24, 4, 6
LENGTHS, MEMORY_LENGTHS = [5, 3, 1], [7, 4, 1]
BOUNDS = {torch.float64: 1e-10, torch.float32: 2e-5}
# The plain softmax of x-transformers is in float32 whatever comes in: its fused one serves there.
PATHS = [(torch.float64, True), (torch.float32, True), (torch.float32, False)]

State = Mapping[str, Tensor]
Call = Callable[[Tensor, Tensor], Tensor]


def compare(
    ours: nn.Module,
    rename: Callable[[State], State],
    theirs: Mapping[str, Tensor],
    calls: tuple[Call, Call],
    dtype: torch.dtype,
) -> float:
    """Greatest error of the output and of the gradients of both inputs and every parameter.

    Padded queries are left out of both: nobody reads what they compute.
    """
    with torch.no_grad():
        for parameter in theirs.values():  # gains of 1 and biases of 0 would hide a mix-up
            parameter.add_(torch.randn_like(parameter) * 0.2)
    ours.load_state_dict(rename({name: p.detach() for name, p in theirs.items()}))
    real = padding_mask(LENGTHS, T)[:, 0, 0, :, None]
    direction = torch.randn(B, T, D, dtype=dtype) * real
    x, memory = torch.randn(B, T, D, dtype=dtype), torch.randn(B, S, D, dtype=dtype)
    found = []
    for call in calls:
        leaves = x.clone().requires_grad_(), memory.clone().requires_grad_()
        out = call(*leaves)
        (out * direction).sum().backward()
        found.append([out.detach() * real, *(y.grad for y in leaves if y.grad is not None)])
    wanted = rename({name: p.grad for name, p in theirs.items() if p.grad is not None})
    got = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    assert wanted.keys() == got.keys() == dict(ours.named_parameters()).keys()
    pairs = [*zip(*found, strict=True), *((got[n], wanted[n]) for n in got)]
    return max(float((a - b).abs().max()) for a, b in pairs)


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def x_attention(state: State, ours: str, theirs: str, groups: int = H) -> dict[str, Tensor]:
    """Their four matrices under our names; with groups, head i·G + g becomes head g·(H/G) + i."""
    order = torch.arange(H).view(H // groups, groups).T.flatten()
    q = state[f"{theirs}to_q.weight"].unflatten(0, (H, K))[order].flatten(0, 1)
    out = state[f"{theirs}to_out.weight"].unflatten(1, (H, K))[:, order].flatten(1)
    return {
        f"{ours}q_proj.weight": q,
        f"{ours}k_proj.weight": state[f"{theirs}to_k.weight"],
        f"{ours}v_proj.weight": state[f"{theirs}to_v.weight"],
        f"{ours}out_proj.weight": out,
    }


@pytest.mark.parametrize(("dtype", "flash"), PATHS)
@pytest.mark.parametrize("kind", ["padding", "causal", "cross"])
@pytest.mark.parametrize("groups", [H, 2, 1])
def test_x_transformers_attention(
    dtype: torch.dtype, flash: bool, kind: str, groups: int, parity_record: Any
) -> None:
    torch.manual_seed(0)
    causal = kind == "causal"
    theirs = Attention(D, dim_head=K, heads=H, kv_heads=groups, causal=causal, flash=flash)
    theirs.to(dtype)
    ours = MultiHeadAttention(D, H, groups, bias=False).to(dtype)
    mask, memory_mask = padding_mask(LENGTHS, T), padding_mask(MEMORY_LENGTHS, S)

    def call(x: Tensor, memory: Tensor) -> Tensor:
        if kind == "cross":
            return ours(x, memory, mask=memory_mask)
        return ours(x, mask=mask, causal=causal)

    def call_theirs(x: Tensor, memory: Tensor) -> Tensor:
        if kind == "cross":
            return theirs(x, context=memory, context_mask=memory_mask[:, 0, 0])
        return theirs(x, mask=mask[:, 0, 0])

    rename = partial(x_attention, ours="", theirs="", groups=groups)
    error = compare(ours, rename, dict(theirs.named_parameters()), (call, call_theirs), dtype)
    path = "fused" if flash else "plain"
    what = f"MultiHeadAttention, G={groups}, {kind}, forward and backward"
    parity_record(f"x-transformers, {path}", what, name_of(dtype), error, BOUNDS[dtype])


def x_block(state: State, norm: int, decoder: bool) -> dict[str, Tensor]:
    """A one-layer Encoder's or Decoder's state under our block's names."""
    names = ["self_attention", *(["cross_attention"] if decoder else [])]
    residuals = [f"{name}_residual" for name in names] if decoder else ["attention_residual"]
    found: dict[str, Tensor] = {}
    for i, name in enumerate(names):
        found |= x_attention(state, f"{name}.", f"layers.{i}.1.")
    for i, name in enumerate([*residuals, "feed_forward_residual"]):
        found[f"{name}.norm.weight"] = state[f"layers.{i}.0.{norm}.gamma"]
    for ours, theirs in (("up_proj", "0.0"), ("down_proj", "2")):
        for part in ("weight", "bias"):
            key = f"layers.{len(names)}.1.ff.{theirs}.{part}"
            found[f"feed_forward.{ours}.{part}"] = state[key]
    return found


@pytest.mark.parametrize(("dtype", "flash"), PATHS)
@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("decoder", [False, True])
def test_x_transformers_block(
    dtype: torch.dtype, flash: bool, pre_norm: bool, decoder: bool, parity_record: Any
) -> None:
    torch.manual_seed(1)
    options = {"cross_attend": True} if decoder else {}
    theirs = (Decoder if decoder else Encoder)(
        dim=D, depth=1, heads=H, attn_dim_head=K, attn_flash=flash, pre_norm=pre_norm,
        norm_add_unit_offset=False, **options
    ).to(dtype)  # fmt: skip
    theirs.final_norm = nn.Identity()  # of the stack, not of the block
    attentions = [MultiHeadAttention(D, H, bias=False) for _ in range(1 + decoder)]
    residual = partial(PreNorm if pre_norm else PostNorm, norm=partial(LayerNorm, bias=False))
    forward = FeedForward(D, 4 * D, activation=F.gelu)
    block = DecoderBlock if decoder else EncoderBlock
    ours = block(*attentions, forward, D, residual=residual).to(dtype)
    mask, memory_mask = padding_mask(LENGTHS, T), padding_mask(MEMORY_LENGTHS, S)

    def call(x: Tensor, memory: Tensor) -> Tensor:
        return (
            ours(x, memory, mask=mask, memory_mask=memory_mask) if decoder else ours(x, mask=mask)
        )

    def call_theirs(x: Tensor, memory: Tensor) -> Tensor:
        if not decoder:
            return theirs(x, mask=mask[:, 0, 0])
        masks = {"mask": mask[:, 0, 0], "context_mask": memory_mask[:, 0, 0]}
        return theirs(x, context=memory, **masks)

    rename = partial(x_block, norm=0 if pre_norm else 2, decoder=decoder)
    error = compare(ours, rename, dict(theirs.named_parameters()), (call, call_theirs), dtype)
    path = "fused" if flash else "plain"
    what = f"{block.__name__}, {'pre' if pre_norm else 'post'}-norm, forward and backward"
    parity_record(f"x-transformers, {path}", what, name_of(dtype), error, BOUNDS[dtype])


def keras_attention(state: State, ours: str = "", theirs: str = "") -> dict[str, Tensor]:
    """Keras's kernels `(D, H, K)` and `(H, K, D)` as the matrices of our four linear layers."""
    found = {}
    for name in ("query", "key", "value"):
        found[f"{ours}{name[0]}_proj.weight"] = state[f"{theirs}{name}/kernel"].flatten(1).T
        found[f"{ours}{name[0]}_proj.bias"] = state[f"{theirs}{name}/bias"].flatten()
    found[f"{ours}out_proj.weight"] = state[f"{theirs}attention_output/kernel"].flatten(0, 1).T
    found[f"{ours}out_proj.bias"] = state[f"{theirs}attention_output/bias"]
    return found


def keras_parameters(*layers: Any) -> dict[str, Tensor]:
    """The torch parameters behind the variables, by path without the layer's own name if alone."""
    skip = 1 if len(layers) == 1 else 0
    return {
        "/".join(variable.path.split("/")[skip:]): variable.value
        for layer in layers
        for variable in layer.trainable_variables
    }


@pytest.mark.parametrize("dtype", list(BOUNDS))
@pytest.mark.parametrize("kind", ["padding", "causal", "cross"])
@pytest.mark.parametrize("groups", [H, 2, 1])
def test_keras_attention(dtype: torch.dtype, kind: str, groups: int, parity_record: Any) -> None:
    torch.manual_seed(2)
    if groups == H:
        theirs = keras.layers.MultiHeadAttention(H, K, dtype=name_of(dtype))
    else:
        theirs = keras.layers.GroupQueryAttention(K, H, groups, dtype=name_of(dtype))
    source = (B, S if kind == "cross" else T, D)
    theirs.build((B, T, D), source)
    ours = MultiHeadAttention(D, H, groups).to(dtype)
    causal = kind == "causal"
    mask = padding_mask(*((MEMORY_LENGTHS, S) if kind == "cross" else (LENGTHS, T)))

    def call(x: Tensor, memory: Tensor) -> Tensor:
        return ours(x, memory if kind == "cross" else None, mask=mask, causal=causal)

    def call_theirs(x: Tensor, memory: Tensor) -> Tensor:
        whole = mask[:, 0].expand(B, T, -1)
        out, _ = theirs(
            x, memory if kind == "cross" else x, attention_mask=whole, use_causal_mask=causal,
            return_attention_scores=True,  # without, its fused function, which rounds to float32
        )  # fmt: skip
        return out

    parameters = keras_parameters(theirs)
    error = compare(ours, keras_attention, parameters, (call, call_theirs), dtype)
    what = f"MultiHeadAttention, G={groups}, {kind}, forward and backward"
    parity_record("Keras (torch)", what, name_of(dtype), error, BOUNDS[dtype])


@pytest.mark.parametrize("pre_norm", [True, False])
def test_keras_layers_as_a_block(pre_norm: bool, parity_record: Any) -> None:
    """Keras has no block; it is put together here from Keras's attention, norm and dense layers.

    In float32 only: Keras's norm and dense layers compute in it whatever comes in.
    """
    torch.manual_seed(3)
    dtype = torch.float32
    name = name_of(dtype)
    attention = keras.layers.MultiHeadAttention(H, K, dtype=name, name="attention")
    norms = [
        keras.layers.LayerNormalization(epsilon=1e-5, dtype=name, name=f"norm{i}") for i in (0, 1)
    ]
    dense = [keras.layers.Dense(n, dtype=name, name=f"dense{i}") for i, n in enumerate((4 * D, D))]
    for layer, shape in zip([*norms, *dense], [(B, T, n) for n in (D, D, D, 4 * D)], strict=True):
        layer.build(shape)
    attention.build((B, T, D), (B, T, D))
    residual = PreNorm if pre_norm else PostNorm
    forward = FeedForward(D, 4 * D, activation=F.gelu)
    ours = EncoderBlock(MultiHeadAttention(D, H), forward, D, residual=residual).to(dtype)
    mask = padding_mask(LENGTHS, T)

    def attend(x: Tensor) -> Tensor:
        whole = mask[:, 0].expand(B, T, T)
        return attention(x, x, attention_mask=whole, return_attention_scores=True)[0]

    def think(x: Tensor) -> Tensor:
        return dense[1](keras.activations.gelu(dense[0](x)))

    def call_theirs(x: Tensor, _: Tensor) -> Tensor:
        for norm, sublayer in zip(norms, (attend, think), strict=True):
            x = x + sublayer(norm(x)) if pre_norm else norm(x + sublayer(x))
        return x

    def rename(state: State) -> dict[str, Tensor]:
        found = keras_attention(state, "self_attention.", "attention/")
        for i, name in enumerate(("attention", "feed_forward")):
            found[f"{name}_residual.norm.weight"] = state[f"norm{i}/gamma"]
            found[f"{name}_residual.norm.bias"] = state[f"norm{i}/beta"]
        for i, name in enumerate(("up_proj", "down_proj")):
            found[f"feed_forward.{name}.weight"] = state[f"dense{i}/kernel"].T
            found[f"feed_forward.{name}.bias"] = state[f"dense{i}/bias"]
        return found

    parameters = keras_parameters(attention, *norms, *dense)
    calls = (lambda x, _: ours(x, mask=mask), call_theirs)
    error = compare(ours, rename, parameters, calls, dtype)
    what = f"EncoderBlock, {'pre' if pre_norm else 'post'}-norm, forward and backward"
    parity_record("Keras (torch)", what, name, error, BOUNDS[dtype])
