"""How large a model is and what a forward pass costs: parameters and FLOPs, from its layers."""

from torch import nn

from attention_guide.layers import (
    DecoderBlock,
    EncoderBlock,
    LatentAttention,
    MixtureOfExperts,
    MultiHeadAttention,
)
from attention_guide.models.bert import Bert, BertClassifier, BertForMaskedWords
from attention_guide.models.language_model import LanguageModel
from attention_guide.models.seq2seq import Transformer
from attention_guide.models.t5 import T5
from attention_guide.models.vit import ViT


def count_parameters(model: nn.Module) -> int:
    """Numbers that training can change; a matrix that is used twice counts once.

    Args:
        model: Any module.

    Returns:
        The count.

    Examples:
        >>> count_parameters(nn.Linear(3, 2))
        8
    """
    return sum(parameter.numel() for parameter in model.parameters())


def forward_flops(
    model: nn.Module, batch: int, length: int | None = None, target: int | None = None
) -> int:
    r"""FLOPs of one forward pass: two for each product of a matrix multiplication, $2 m n k$.

    Norms, activations, softmaxes and embeddings aren't counted: they are of lower order. Scores
    that a causal mask or a window hides are counted, as the reference computes them; kernels that
    skip them do less. A backward pass costs twice as much as a forward pass.

    Args:
        model: A `LanguageModel`, a BERT, a `Transformer`, a `T5` or a `ViT`.
        batch: Rows B.
        length: Tokens a row; for an encoder–decoder, of the source; `None` for a `ViT`, whose
            pictures are as large as its config says.
        target: For an encoder–decoder, tokens a row of the target.

    Returns:
        The count.

    Raises:
        TypeError: Another kind of model.
        ValueError: A length or target where the model has none, or none where it has one.

    Source:
        Kaplan et al., "Scaling Laws for Neural Language Models", 2020, arXiv:2001.08361, table 1,
        whose total leaves the output layer out.

    Examples:
        >>> from attention_guide.models import GPT2, GPT2Config
        >>> model = GPT2(GPT2Config(11, d_model=8, n_heads=2, n_layers=1))
        >>> blocks, scores, output = 5 * 2 * 12 * 8 * 8, 2 * 2 * 5 * 5 * 8, 5 * 2 * 8 * 11
        >>> forward_flops(model, 1, 5) == blocks + scores + output
        True
    """
    _check_given("length", length, not isinstance(model, ViT), model)
    _check_given("target", target, isinstance(model, Transformer | T5), model)
    if isinstance(model, ViT):
        return batch * _vit(model)
    assert length is not None
    if isinstance(model, Transformer | T5):
        assert target is not None
        blocks = sum(_block(block, length) for block in model.encoder.blocks)
        blocks += sum(_block(block, target, length) for block in model.decoder.blocks)
        return batch * (blocks + target * _linear(model.output_proj))
    if isinstance(model, LanguageModel):
        blocks = sum(_block(block, length) for block in model.blocks)
        return batch * (blocks + length * _linear(model.output_proj))
    if isinstance(model, Bert):
        return batch * sum(_block(block, length) for block in model.encoder.blocks)
    if isinstance(model, BertForMaskedWords):
        heads = _linear(model.transform) + _linear(model.output_proj)
        return forward_flops(model.bert, batch, length) + batch * length * heads
    if isinstance(model, BertClassifier):
        heads = _linear(model.classifier) + _linear(model.bert.pooler or nn.Identity())
        return forward_flops(model.bert, batch, length) + batch * heads
    raise TypeError(
        "model: expected a LanguageModel, a BERT, a Transformer, a T5 or a ViT; got "
        f"{type(model).__name__}"
    )


def _check_given(name: str, n: int | None, wanted: bool, model: nn.Module) -> None:
    if wanted != (n is not None):
        expected = "a length" if wanted else "None"
        raise ValueError(f"{name}: expected {expected} for {type(model).__name__}; got {n}")


def _vit(model: ViT) -> int:
    """Of one picture; the head reads one token or the mean."""
    rows, columns = model.tokens.positions.grid
    patches = rows * columns
    tokens = model.tokens.n_extra + patches
    embedded = 2 * patches * model.tokens.patches.proj.weight.numel()
    return (
        embedded
        + sum(_block(block, tokens) for block in model.encoder.blocks)
        + _linear(model.head)
    )


def _block(block: nn.Module, t: int, s: int | None = None) -> int:
    if isinstance(block, EncoderBlock):
        return _attention(block.self_attention, t, t) + t * _feed_forward(block.feed_forward)
    if isinstance(block, DecoderBlock):
        assert s is not None
        attentions = _attention(block.self_attention, t, t)
        attentions += _attention(block.cross_attention, t, s)
        return attentions + t * _feed_forward(block.feed_forward)
    raise TypeError(f"block: expected EncoderBlock or DecoderBlock; got {type(block).__name__}")


def _attention(layer: nn.Module, t: int, s: int) -> int:
    """Projections of t queries and s keys, then scores and sums of all heads."""
    if isinstance(layer, LatentAttention):
        width = layer.d_head + layer.d_rope + layer.d_value
        return t * _linear(layer) + 2 * layer.n_heads * t * s * width
    if isinstance(layer, MultiHeadAttention):
        queries = _linear(layer.q_proj) + _linear(layer.out_proj)
        keys = _linear(layer.k_proj) + _linear(layer.v_proj)
        return t * queries + s * keys + 4 * layer.n_heads * t * s * layer.d_head
    raise TypeError(
        f"attention: expected MultiHeadAttention or LatentAttention; got {type(layer).__name__}"
    )


def _feed_forward(layer: nn.Module) -> int:
    """For one token; of a mixture, only the experts that it goes through."""
    if not isinstance(layer, MixtureOfExperts):
        return _linear(layer)
    shared = 0 if layer.shared is None else _linear(layer.shared)
    return _linear(layer.router) + shared + layer.n_active * _linear(layer.experts[0])


def _linear(module: nn.Module) -> int:
    """For one token through every linear layer inside."""
    layers = [m for m in module.modules() if isinstance(m, nn.Linear)]
    return sum(2 * layer.in_features * layer.out_features for layer in layers)
