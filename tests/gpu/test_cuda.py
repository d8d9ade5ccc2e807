"""What the CPU's tests prove holds on a CUDA device: run with `pytest -m gpu tests/gpu`."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_guide import AttentionRecorder
from attention_guide.explain import at_embedding, integrated_gradients
from attention_guide.functional import Kernel, attention, attention_weights
from attention_guide.models import (
    GPT2,
    Bert,
    BertConfig,
    GPT2Config,
    Llama,
    LlamaConfig,
    Transformer,
    TransformerConfig,
    generate,
    left_pad,
)
from attention_guide.train import adamw, cross_entropy, fit

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda")
V, D, H = 50, 32, 4
DECODERS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: GPT2(GPT2Config(V, D, H, 2, max_len=64, dropout=0.0)),
    "llama": lambda: Llama(
        LlamaConfig(V, d_model=D, n_heads=H, n_kv_heads=2, n_layers=2, d_ff=64, window=8)
    ),
}


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    """No TF32: it keeps ten bits, and float32 is held to more here."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32 = before


def twins(make: Callable[[], Any]) -> tuple[Any, Any]:
    """The same model on the CPU and on the device."""
    torch.manual_seed(0)
    model = make().eval()
    return model, copy.deepcopy(model).to(DEVICE)


@pytest.mark.parametrize("kernel", get_args(Kernel))
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 2e-5), (torch.bfloat16, 3e-2)])
def test_every_kernel_equals_the_reference(
    kernel: Kernel, dtype: torch.dtype, within: float
) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, H, 40, 16, dtype=torch.float64)
    expected = attention(q, k, v, causal=True, kernel="reference")
    on_device = (x.to(DEVICE, dtype) for x in (q, k, v))
    found = attention(*on_device, causal=True, kernel=kernel)
    assert found.device.type == DEVICE.type
    torch.testing.assert_close(found.cpu().double(), expected, rtol=0, atol=within)


@pytest.mark.parametrize("name", DECODERS)
def test_logits_and_gradients_are_those_of_the_cpu(name: str) -> None:
    here, there = twins(DECODERS[name])
    ids = torch.randint(V, (3, 20))
    for model, x in ((here, ids), (there, ids.to(DEVICE))):
        F.cross_entropy(model(x)[:, :-1].flatten(0, 1), x[:, 1:].flatten()).backward()
    torch.testing.assert_close(there(ids.to(DEVICE)).cpu(), here(ids), rtol=0, atol=2e-5)
    for (key, one), other in zip(here.named_parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(other.grad.cpu(), one.grad, rtol=0, atol=2e-5, msg=key)


@pytest.mark.parametrize("name", DECODERS)
def test_padded_texts_go_on_with_the_same_tokens(name: str) -> None:
    here, there = twins(DECODERS[name])
    prompt, padding = left_pad([[5, 6, 7, 8], [9]])
    expected = generate(here, prompt, 12, padding=padding)
    for cached in (True, False):
        found = generate(there, prompt.to(DEVICE), 12, padding=padding.to(DEVICE), cached=cached)
        assert found.cpu().equal(expected)


def test_the_transformer_of_2017_masks_and_writes_there() -> None:
    make = partial(Transformer, TransformerConfig(V, V, D, H, n_layers=2, d_ff=64))
    here, there = twins(make)
    source = torch.tensor([[4, 5, 6, 0], [7, 8, 9, 10]])
    expected = here.generate(source, max_len=8)
    assert there.generate(source.to(DEVICE), max_len=8).cpu().equal(expected)


def test_weights_are_recorded_there() -> None:
    here, there = twins(lambda: Bert(BertConfig(V, D, H, n_layers=2, max_len=32)))
    ids = torch.randint(3, V, (2, 9))
    maps = []
    for model, x in ((here, ids), (there, ids.to(DEVICE))):
        with AttentionRecorder(model) as recorded, torch.no_grad():
            model(x)
        maps.append(torch.stack(list(recorded.values())).cpu())
    torch.testing.assert_close(maps[1], maps[0], rtol=0, atol=2e-6)


def test_a_prediction_is_explained_there() -> None:
    shares = []
    for model in twins(DECODERS["gpt2"]):
        ids = torch.tensor([[3, 4, 5]], device=model.output_proj.weight.device)
        score, x = at_embedding(model.embedding, lambda i, m=model: m(i)[:, -1, 7], ids)
        shares.append(integrated_gradients(score, x).sum(-1).cpu())
    torch.testing.assert_close(shares[1], shares[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_training_learns_there(precision: torch.dtype | None) -> None:
    torch.manual_seed(0)
    model = DECODERS["gpt2"]().to(DEVICE)
    rows = torch.arange(64, device=DEVICE).remainder(7).expand(8, 64)

    def loss(model: nn.Module, ids: Tensor) -> Tensor:
        return cross_entropy(model(ids[:, :-1]), ids[:, 1:])

    history = fit(
        model, [rows], loss, steps=40, optimizer=adamw(model, lr=1e-2), autocast=precision
    )
    assert history.loss[-1] < 0.2 * history.loss[0]


def test_a_mask_made_elsewhere_is_refused_by_name() -> None:
    q = torch.randn(1, 1, 3, 4, device=DEVICE)
    with pytest.raises(ValueError, match=r"mask: expected .*cuda"):
        attention_weights(q, q, mask=torch.ones(3, 3, dtype=torch.bool))
