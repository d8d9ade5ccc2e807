"""Parameters against published counts, FLOPs against torch's own counter."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from attention_guide import AttentionRecorder
from attention_guide.layers import MultiHeadAttention
from attention_guide.models import (
    GPT2,
    T5,
    Bert,
    BertClassifier,
    BertConfig,
    BertForMaskedWords,
    DeepSeek,
    DeepSeekConfig,
    ExpertSizes,
    Gemma2,
    Gemma2Config,
    GPT2Config,
    LatentSizes,
    Llama,
    LlamaConfig,
    Marian,
    MarianConfig,
    T5Config,
    Transformer,
    TransformerConfig,
    ViT,
    ViTConfig,
    count_parameters,
    forward_flops,
)

# The vocabulary of the paper's English–German models is "about 37000 tokens" (section 5.1).
BIG = TransformerConfig(37_000, 37_000, d_model=1024, n_heads=16, d_ff=4096, tie_weights="all")
BASE = TransformerConfig(37_000, 37_000, tie_weights="all")


@pytest.mark.parametrize(
    ("make", "exact", "published", "within"),
    [
        # 117 M in the paper (table 2), which OpenAI's README corrects to 124 M: "our original
        # parameter counts were wrong due to an error". Exact: the checkpoint's tensors.
        (lambda: GPT2(GPT2Config()), 124_439_808, 124e6, 0.005),
        (
            lambda: GPT2(GPT2Config(d_model=1024, n_heads=16, n_layers=24)),
            354_823_168, 355e6, 0.002,
        ),
        # Devlin et al., section 3: 110 M and 340 M, "total parameters".
        (lambda: Bert(BertConfig()), 109_482_240, 110e6, 0.01),
        (
            lambda: Bert(BertConfig(d_model=1024, n_heads=16, n_layers=24, d_ff=4096)),
            335_141_888, 340e6, 0.02,
        ),
        # Raffel et al., section 3.7: "about 60 million parameters".
        (lambda: T5(T5Config()), 60_506_624, 60e6, 0.01),
        # Vaswani et al., table 3: 65 and 213 million. Ours have one matrix for both embeddings
        # and the output (section 3.4); the published numbers don't say their exact vocabulary.
        (lambda: Transformer(BASE), 63_082_496, 65e6, 0.035),
        (lambda: Transformer(BIG), 214_245_376, 213e6, 0.01),
    ],
)  # fmt: skip
def test_parameters_are_the_published_ones(
    make: Callable[[], nn.Module], exact: int, published: float, within: float
) -> None:
    with torch.device("meta"):  # sizes without memory
        counted = count_parameters(make())
    assert counted == exact
    assert abs(counted - published) <= within * published


def test_transformers_counts_the_same() -> None:
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        for config, make, exact in (
            (transformers.GPT2Config(), transformers.GPT2LMHeadModel, 124_439_808),
            (transformers.BertConfig(), transformers.BertModel, 109_482_240),
            (transformers.T5Config(), transformers.T5ForConditionalGeneration, 60_506_624),
        ):
            assert count_parameters(make(config)) == exact


IDS = torch.arange(1, 22).view(3, 7)
SIZES = {"d_model": 16, "n_heads": 4, "n_layers": 2}
BERT = BertConfig(23, d_ff=24, **SIZES)
ENCODERS = {
    "gpt2": lambda: GPT2(GPT2Config(23, **SIZES)),
    "llama": lambda: Llama(LlamaConfig(23, n_kv_heads=2, d_ff=24, **SIZES)),
    "mixtral": lambda: Llama(LlamaConfig(23, d_ff=24, experts=(4, 2), **SIZES)),
    "gemma2": lambda: Gemma2(Gemma2Config(23, d_head=6, d_ff=24, window=3, **SIZES)),
    "deepseek": lambda: DeepSeek(
        DeepSeekConfig(
            23, d_ff=24, n_dense_layers=1, latent=LatentSizes(8, 6, 4, 2, 3),
            experts=ExpertSizes(4, 2, 1, 8, 2, 1), **SIZES,
        )
    ),
    "bert": lambda: Bert(BERT),
    "masked words": lambda: BertForMaskedWords(BERT),
    "classifier": lambda: BertClassifier(BERT, 5),
}  # fmt: skip
PAIRS = {
    "2017": lambda: Transformer(
        TransformerConfig(23, 23, 16, 4, d_ff=24),
        attention=partial(MultiHeadAttention, n_kv_heads=2),
    ),
    "marian": lambda: Marian(MarianConfig(23, 16, 4, 24, 2, 3)),
    "t5": lambda: T5(T5Config(23, 16, 3, 4, 24, 2, gated=True)),
}


def counted(model: nn.Module, *inputs: torch.Tensor) -> int:
    """By torch, with the reference attention, whose every product it sees."""
    with AttentionRecorder(model), FlopCounterMode(display=False) as counter:
        model(*inputs)
    return counter.get_total_flops()


@pytest.mark.parametrize("name", ENCODERS)
def test_flops_are_those_that_torch_counts(name: str) -> None:
    model = ENCODERS[name]().eval()
    assert forward_flops(model, 3, 7) == counted(model, IDS)


@pytest.mark.parametrize("name", PAIRS)
def test_flops_of_pairs_are_those_that_torch_counts(name: str) -> None:
    model = PAIRS[name]().eval()
    assert forward_flops(model, 3, 7, 4) == counted(model, IDS, IDS[:, :4])


@pytest.mark.parametrize(
    "changes", [{}, {"class_token": False}, {"n_registers": 3, "n_classes": 0}]
)
def test_flops_of_pictures_are_those_that_torch_counts(changes: dict[str, Any]) -> None:
    model = ViT(ViTConfig((8, 12), 4, 2, d_ff=24, **SIZES, **changes)).eval()
    assert forward_flops(model, 3) == counted(model, torch.randn(3, 2, 8, 12))


def test_vit_b_16_costs_what_is_published() -> None:
    with torch.device("meta"):
        model = ViT(ViTConfig())
    # torchvision's page for vit_b_16 gives 17.56 "GFLOPS" at 224 pixels: it counts a multiply-add
    # as one, and here it is two.
    assert round(forward_flops(model, 1) / 2e9, 2) == 17.56


def test_a_backward_pass_costs_twice_a_forward_pass() -> None:
    model = ENCODERS["gpt2"]()
    with AttentionRecorder(model, gradients=True), FlopCounterMode(display=False) as counter:
        model(IDS).sum().backward()
    assert counter.get_total_flops() == 3 * forward_flops(model, 3, 7)


def test_models_and_lengths_that_do_not_fit() -> None:
    with pytest.raises(TypeError, match="got Linear"):
        forward_flops(nn.Linear(1, 1), 1, 1)
    with pytest.raises(ValueError, match="length: expected None for ViT; got 7"):
        forward_flops(ViT(ViTConfig(8, 4, d_model=8, n_heads=2, d_ff=8, n_layers=1)), 1, 7)
    with pytest.raises(ValueError, match="length: expected a length for GPT2; got None"):
        forward_flops(ENCODERS["gpt2"](), 1)
    with pytest.raises(ValueError, match="expected None for GPT2"):
        forward_flops(ENCODERS["gpt2"](), 1, 1, 1)
    with pytest.raises(ValueError, match="expected a length for T5"):
        forward_flops(PAIRS["t5"](), 1, 1)
