"""Weights to and from `torch.nn`: multi-head attention, encoder and decoder layers, Transformer."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from attention_guide.layers import (
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
)
from attention_guide.models import Transformer, TransformerConfig

# torch's name → ours, for what stands directly in a layer.
ENCODER_LAYER: Final = {
    "self_attn": "self_attention",
    "linear1": "feed_forward.up_proj",
    "linear2": "feed_forward.down_proj",
    "norm1": "attention_residual.norm",
    "norm2": "feed_forward_residual.norm",
}
DECODER_LAYER: Final = {
    "self_attn": "self_attention",
    "multihead_attn": "cross_attention",
    "linear1": "feed_forward.up_proj",
    "linear2": "feed_forward.down_proj",
    "norm1": "self_attention_residual.norm",
    "norm2": "cross_attention_residual.norm",
    "norm3": "feed_forward_residual.norm",
}
M = TypeVar("M", bound=nn.Module)
_PARTS: Final = ("q", "k", "v")


def attention_state_from_torch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of an `nn.MultiheadAttention`, and cut its stacked matrix in three.

    Args:
        state: Its `state_dict()`, or its gradients under the same names.

    Returns:
        The same under the names of `MultiHeadAttention`.

    Raises:
        ValueError: It has parameters that ours has no place for (`add_bias_kv`).

    Examples:
        >>> sorted(attention_state_from_torch(nn.MultiheadAttention(4, 2, bias=False).state_dict()))
        ['k_proj.weight', 'out_proj.weight', 'q_proj.weight', 'v_proj.weight']
    """
    ours: dict[str, Tensor] = {}
    for name, x in state.items():
        if name in ("in_proj_weight", "in_proj_bias"):
            kind = name.removeprefix("in_proj_")
            ours |= {f"{p}_proj.{kind}": c for p, c in zip(_PARTS, x.chunk(3), strict=True)}
        elif name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
            ours[name.replace("_weight", ".weight")] = x
        elif name.startswith("out_proj."):
            ours[name] = x
        else:
            raise ValueError(f"state: MultiHeadAttention has no place for {name}")
    return ours


def attention_state_to_torch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stack the three projections as `nn.MultiheadAttention` has them: the way back.

    Args:
        state: The `state_dict()` of a `MultiHeadAttention` with as many key/value heads as
            query heads, memory as wide as the model, and nothing plugged in that has weights.

    Returns:
        The same under torch's names.

    Raises:
        ValueError: `nn.MultiheadAttention` has no place for it.

    Examples:
        >>> ours = MultiHeadAttention(4, 2).state_dict()
        >>> sorted(attention_state_to_torch(ours))
        ['in_proj_bias', 'in_proj_weight', 'out_proj.bias', 'out_proj.weight']
    """
    known = {f"{p}_proj.{kind}" for p in (*_PARTS, "out") for kind in ("weight", "bias")}
    if unknown := set(state) - known:
        raise ValueError(f"state: nn.MultiheadAttention has no place for {sorted(unknown)}")
    shapes = {tuple(state[f"{p}_proj.weight"].shape) for p in _PARTS}
    if len(shapes) > 1:
        raise ValueError(f"state: expected q, k and v projections of one shape; got {shapes}")
    theirs = {name: x for name, x in state.items() if name.startswith("out_proj.")}
    for kind in ("weight", "bias"):
        if f"q_proj.{kind}" in state:
            theirs[f"in_proj_{kind}"] = torch.cat([state[f"{p}_proj.{kind}"] for p in _PARTS])
    return theirs


def state_from_torch(state: Mapping[str, Tensor], table: Mapping[str, str]) -> dict[str, Tensor]:
    """Rename the parameters of one layer by a table, attentions included.

    Args:
        state: `state_dict()` of an `nn.TransformerEncoderLayer` or `nn.TransformerDecoderLayer`.
        table: `ENCODER_LAYER` or `DECODER_LAYER`.

    Returns:
        The same under the names of `EncoderBlock` or `DecoderBlock`.

    Raises:
        ValueError: A name that isn't in the table.

    Examples:
        >>> layer = nn.TransformerEncoderLayer(4, 2, 8)
        >>> sorted(state_from_torch(layer.state_dict(), ENCODER_LAYER))[0]
        'attention_residual.norm.bias'
    """
    ours: dict[str, Tensor] = {}
    for part, inner in _split(state).items():
        if part not in table:
            raise ValueError(f"state: {part} isn't in the table of {', '.join(table)}")
        inner = attention_state_from_torch(inner) if part.endswith("_attn") else inner
        ours |= {f"{table[part]}.{name}": x for name, x in inner.items()}
    return ours


def transformer_state_from_torch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the parameters of an `nn.Transformer` to those of our `encoder` and `decoder`.

    Args:
        state: Its `state_dict()`, or its gradients under the same names.

    Returns:
        The same under our names; embeddings and the output layer aren't in it.

    Examples:
        >>> theirs = nn.Transformer(4, 2, 1, 1, 8, batch_first=True).state_dict()
        >>> ours = transformer_state_from_torch(theirs)
        >>> "decoder.blocks.0.cross_attention.q_proj.weight" in ours, "encoder.norm.bias" in ours
        (True, True)
    """
    ours: dict[str, Tensor] = {}
    for stack, table in (("encoder", ENCODER_LAYER), ("decoder", DECODER_LAYER)):
        parts = _split(_split(state)[stack])
        for index, layer in _split(parts.get("layers", {})).items():
            renamed = state_from_torch(layer, table)
            ours |= {f"{stack}.blocks.{index}.{name}": x for name, x in renamed.items()}
        ours |= {f"{stack}.norm.{name}": x for name, x in parts.get("norm", {}).items()}
    return ours


def transformer_state_to_torch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename our `encoder` and `decoder` to an `nn.Transformer`'s: the way back.

    Args:
        state: `state_dict()` of a `Transformer`; embeddings and output layer are left out, since
            `nn.Transformer` has none.

    Returns:
        The same under torch's names.

    Raises:
        ValueError: A part that torch's layers have no place for.

    Examples:
        >>> theirs = nn.Transformer(4, 2, 1, 1, 8, batch_first=True).state_dict()
        >>> back = transformer_state_to_torch(transformer_state_from_torch(theirs))
        >>> all(torch.equal(back[name], x) for name, x in theirs.items())
        True
    """
    theirs: dict[str, Tensor] = {}
    for stack, table in (("encoder", ENCODER_LAYER), ("decoder", DECODER_LAYER)):
        parts = _split(_split(state)[stack])
        for index, block in _split(parts.get("blocks", {})).items():
            layer = f"{stack}.layers.{index}"
            left = dict(block)
            for part, name in table.items():
                prefix = f"{name}."
                names = [n for n in left if n.startswith(prefix)]
                inner = {n.removeprefix(prefix): left.pop(n) for n in names}
                inner = attention_state_to_torch(inner) if part.endswith("_attn") else inner
                theirs |= {f"{layer}.{part}.{n}": x for n, x in inner.items()}
            if left:
                raise ValueError(f"state: torch's layers have no place for {sorted(left)}")
        theirs |= {f"{stack}.norm.{name}": x for name, x in parts.get("norm", {}).items()}
    return theirs


def attention_from_torch(attention: nn.MultiheadAttention) -> MultiHeadAttention:
    """A `MultiHeadAttention` with the weights of an `nn.MultiheadAttention`.

    The masks turn round: torch's `True` hides, ours lets through.

    Args:
        attention: With `kdim == vdim`, without `add_bias_kv` and `add_zero_attn`.

    Returns:
        Ours, of the same dtype, device and mode.

    Raises:
        ValueError: An option that ours hasn't.

    Examples:
        >>> theirs = nn.MultiheadAttention(8, 2, batch_first=True)
        >>> ours, x = attention_from_torch(theirs), torch.ones(1, 3, 8)
        >>> torch.allclose(ours(x), theirs(x, x, x)[0], atol=1e-6)
        True
    """
    if attention.add_zero_attn or attention.kdim != attention.vdim:
        raise ValueError("attention: expected kdim == vdim and no add_zero_attn")
    ours = MultiHeadAttention(
        attention.embed_dim,
        attention.num_heads,
        d_memory=attention.kdim,
        bias=attention.in_proj_bias is not None,
        dropout=attention.dropout,
    )
    return _filled(ours, attention, attention_state_from_torch(attention.state_dict()))


def encoder_block_from_torch(layer: nn.TransformerEncoderLayer) -> EncoderBlock:
    """An `EncoderBlock` with the weights of an `nn.TransformerEncoderLayer`.

    Args:
        layer: Of either norm order, with any activation function.

    Returns:
        Ours, of the same dtype, device and mode.

    Examples:
        >>> theirs = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
        >>> ours, x = encoder_block_from_torch(theirs), torch.ones(1, 3, 8)
        >>> torch.allclose(ours(x), theirs(x), atol=1e-5)
        True
    """
    ours = EncoderBlock(
        attention_from_torch(layer.self_attn),
        _feed_forward(layer),
        layer.self_attn.embed_dim,
        residual=_residual(layer),
    )
    return _filled(ours, layer, state_from_torch(layer.state_dict(), ENCODER_LAYER))


def decoder_block_from_torch(layer: nn.TransformerDecoderLayer) -> DecoderBlock:
    """A `DecoderBlock` with the weights of an `nn.TransformerDecoderLayer`.

    Args:
        layer: Of either norm order, with any activation function.

    Returns:
        Ours, of the same dtype, device and mode. Its self-attention is always causal; torch's
        only where it is given a mask.

    Examples:
        >>> theirs = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True).eval()
        >>> ours = decoder_block_from_torch(theirs)
        >>> x, memory = torch.ones(1, 1, 8), torch.ones(1, 3, 8)
        >>> torch.allclose(ours(x, memory), theirs(x, memory), atol=1e-5)
        True
    """
    ours = DecoderBlock(
        attention_from_torch(layer.self_attn),
        attention_from_torch(layer.multihead_attn),
        _feed_forward(layer),
        layer.self_attn.embed_dim,
        residual=_residual(layer),
    )
    return _filled(ours, layer, state_from_torch(layer.state_dict(), DECODER_LAYER))


def from_torch_transformer(
    transformer: nn.Transformer, src_vocab_size: int, tgt_vocab_size: int, **config: Any
) -> Transformer:
    """A `Transformer` whose encoder and decoder have the weights of an `nn.Transformer`.

    `nn.Transformer` has no embeddings, positions or output layer: ours are drawn anew.

    Args:
        transformer: Of either norm order; its encoder and decoder may differ in depth.
        src_vocab_size: Size of the source vocabulary.
        tgt_vocab_size: Size of the target vocabulary.
        **config: Further fields of `TransformerConfig`, such as `pad_id`.

    Returns:
        Ours, of the same dtype, device and mode.

    Examples:
        >>> theirs = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
        >>> model = from_torch_transformer(theirs, 11, 13)
        >>> model(torch.tensor([[5, 6]]), torch.tensor([[1]])).shape
        torch.Size([1, 1, 13])
    """
    encoder, decoder = transformer.encoder, transformer.decoder
    layer = encoder.layers[0]
    bias = layer.linear1.bias is not None
    ours = Transformer(
        TransformerConfig(
            src_vocab_size,
            tgt_vocab_size,
            d_model=transformer.d_model,
            n_heads=transformer.nhead,
            d_ff=layer.linear1.out_features,
            n_layers=len(encoder.layers),
            n_decoder_layers=len(decoder.layers),
            dropout=layer.dropout.p,
            norm_first=layer.norm_first,
            final_norm=encoder.norm is not None,
            **config,
        ),
        attention=partial(MultiHeadAttention, bias=bias),
        feed_forward=partial(FeedForward, activation=layer.activation, bias=bias),
        norm=partial(LayerNorm, eps=layer.norm1.eps, bias=bias),
    )
    state = transformer_state_from_torch(transformer.state_dict())
    own = {name: x for name, x in ours.state_dict().items() if name not in state}
    left = [name for name in own if name.startswith(("encoder.", "decoder."))]
    if left:
        raise ValueError(f"transformer: has nothing for {left}")
    return _filled(ours, transformer, {**own, **state})


def _residual(layer: Any) -> Any:
    norm = layer.norm1
    make_norm = partial(LayerNorm, eps=norm.eps, bias=norm.bias is not None)
    return partial(
        PreNorm if layer.norm_first else PostNorm, norm=make_norm, dropout=layer.dropout1.p
    )


def _feed_forward(layer: Any) -> FeedForward:
    return FeedForward(
        layer.linear1.in_features,
        layer.linear1.out_features,
        activation=layer.activation,
        dropout=layer.dropout.p,
        bias=layer.linear1.bias is not None,
    )


def _filled(ours: M, theirs: nn.Module, state: Mapping[str, Tensor]) -> M:
    parameter = next(theirs.parameters())
    ours.to(device=parameter.device, dtype=parameter.dtype)
    ours.load_state_dict(state)
    return ours.train(theirs.training)


def _split(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Group `"a.b.c"` under `"a"` as `"b.c"`."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, x in state.items():
        head, _, rest = name.partition(".")
        groups.setdefault(head, {})[rest] = x
    return groups
