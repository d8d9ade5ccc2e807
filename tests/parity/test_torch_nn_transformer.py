"""The whole model against torch.nn.Transformer with copied weights, from ids to gradients."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention_guide.checkpoints.torch_nn import (
    from_torch_transformer,
    transformer_state_from_torch,
    transformer_state_to_torch,
)
from attention_guide.functional import sinusoidal
from attention_guide.models import Transformer, TransformerConfig

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}
SRC = torch.tensor([[5, 6, 7, 8, 2], [9, 3, 2, 0, 0], [4, 2, 0, 0, 0]])
TGT = torch.tensor([[1, 6, 5, 9], [1, 7, 0, 0], [1, 3, 8, 0]])


def torch_transformer(norm_first: bool, dtype: torch.dtype) -> nn.Transformer:
    """One with every parameter moved away from its starting value."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        # Pre-norm stacks can't use nested tensors, which torch says at construction.
        warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
        theirs = nn.Transformer(
            16, 4, 2, 3, 32, dropout=0.0, norm_first=norm_first, batch_first=True, dtype=dtype
        )
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return theirs


def run_torch(theirs: nn.Transformer, ours: Transformer, src: Tensor, tgt: Tensor) -> Tensor:
    """What one has to write around nn.Transformer to get from ids to logits."""

    def embed(ids: Tensor, table: Tensor) -> Tensor:
        return table[ids] * 4.0 + sinusoidal(ids.shape[1], 16, dtype=table.dtype)

    hidden = theirs(
        embed(src, ours.src_embedding.weight), embed(tgt, ours.tgt_embedding.weight),
        tgt_mask=torch.ones(tgt.shape[1], tgt.shape[1], dtype=torch.bool).triu(1),
        src_key_padding_mask=src == 0, tgt_key_padding_mask=tgt == 0,
        memory_key_padding_mask=src == 0,
    )  # fmt: skip
    return hidden @ ours.output_proj.weight.T


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("norm_first", [False, True])
def test_logits_and_gradients_are_equal(
    norm_first: bool, dtype: torch.dtype, parity_record: Any
) -> None:
    theirs = torch_transformer(norm_first, dtype)
    ours = from_torch_transformer(theirs, 11, 12)
    real = TGT != 0
    got, expected = ours(SRC, TGT), run_torch(theirs, ours, SRC, TGT)
    errors = [float((got - expected).detach()[real].abs().max())]
    direction = torch.randn_like(got) * real[..., None]
    (expected * direction).sum().backward()
    tables = {n: p.grad.clone() for n, p in ours.named_parameters() if p.grad is not None}
    assert set(tables) == {"src_embedding.weight", "tgt_embedding.weight", "output_proj.weight"}
    ours.zero_grad()
    (got * direction).sum().backward()
    gradients = {n: p.grad for n, p in theirs.named_parameters()}
    wanted = tables | transformer_state_from_torch(gradients)
    for name, parameter in ours.named_parameters():
        scale = 1 + wanted[name].abs().max()
        errors.append(float((parameter.grad - wanted[name]).abs().max() / scale))
    what = f"Transformer, {'pre' if norm_first else 'post'}-norm, forward and backward"
    bound, name = TOLERANCE[dtype], str(dtype).removeprefix("torch.")
    parity_record("torch Transformer", what, name, max(errors), bound)


def test_weights_there_and_back() -> None:
    theirs = torch_transformer(False, torch.float32).state_dict()
    back = transformer_state_to_torch(transformer_state_from_torch(theirs))
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[name], x) for name, x in theirs.items())


def test_our_weights_load_into_torch() -> None:
    config = TransformerConfig(11, 12, 16, 4, d_ff=32, n_layers=2, dropout=0.0, final_norm=True)
    ours = Transformer(config).double().eval()
    theirs = nn.Transformer(16, 4, 2, 2, 32, dropout=0.0, batch_first=True).double()
    theirs.load_state_dict(transformer_state_to_torch(ours.state_dict()))
    real = TGT != 0
    got, expected = ours(SRC, TGT), run_torch(theirs, ours, SRC, TGT)
    assert (got - expected)[real].abs().max() <= 1e-10


def test_a_transformer_without_final_norms_is_copied_without() -> None:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    decoder_layer = nn.TransformerDecoderLayer(16, 4, 32, batch_first=True)
    theirs = nn.Transformer(
        16, 4, dim_feedforward=32, batch_first=True,
        custom_encoder=nn.TransformerEncoder(layer, 1),
        custom_decoder=nn.TransformerDecoder(decoder_layer, 1),
    )  # fmt: skip
    assert not from_torch_transformer(theirs, 11, 12).config.has_final_norm
    theirs.encoder.norm = nn.LayerNorm(16)
    with pytest.raises(ValueError, match=r"nothing for \['decoder\.norm"):
        from_torch_transformer(theirs, 11, 12)
