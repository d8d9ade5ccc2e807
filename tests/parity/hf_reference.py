"""What the parity tests against Hugging Face share: references in true float64, tiny batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from attention_guide import AttentionRecorder
from attention_guide.checkpoints import from_hugging_face
from attention_guide.checkpoints.hugging_face import rename_state

BOUNDS = {"float64": 1e-10, "float32": 2e-5}


@contextmanager
def computing_in(dtype: str) -> Iterator[None]:
    """Run the reference wholly in `dtype`.

    Norms, rotary tables and softmaxes of many models cast to float32 whatever they are given. In
    float64 these casts are made to mean float64, so that nothing but the precision changes.
    """
    if dtype == "float32":
        yield
        return
    wide = {"float32": torch.float64, "float": torch.float64, "FloatTensor": torch.DoubleTensor}
    kept = {name: getattr(torch, name) for name in wide}
    cast = torch.Tensor.float
    try:
        for name, value in wide.items():
            setattr(torch, name, value)
        torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float64)
        yield
    finally:
        torch.set_default_dtype(kept["float32"])
        for name, value in kept.items():
            setattr(torch, name, value)
        torch.Tensor.float = cast  # type: ignore[method-assign]


def tiny(make: Callable[[], nn.Module]) -> nn.Module:
    """A model of theirs with every weight moved away from its starting value."""
    torch.manual_seed(0)
    model = make().to(torch.get_default_dtype()).eval()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point() and tensor.numel() and tensor.requires_grad:
                tensor.add_(torch.randn_like(tensor) * 0.1)
    return model


def ours_of(theirs: nn.Module) -> nn.Module:
    """Our model with their weights."""
    return from_hugging_face(theirs.config.to_dict(), theirs.state_dict())


def worst(pairs: Iterator[tuple[Tensor, Tensor]] | list[tuple[Tensor, Tensor]]) -> float:
    """The largest difference among pairs of tensors of one shape."""
    errors = []
    for got, expected in pairs:
        assert got.shape == expected.shape, f"{tuple(got.shape)} against {tuple(expected.shape)}"
        errors.append((got - expected).abs().max().item())
    assert errors
    return max(errors)


def recorded(ours: nn.Module, match: str, run: Callable[[], Any]) -> list[Tensor]:
    """Our attention maps of one run, by the recorder."""
    with AttentionRecorder(ours, match=match) as maps:
        run()
    return [maps[name] for name in maps]


def block_outputs(blocks: nn.ModuleList, run: Callable[[], Any]) -> list[Tensor]:
    """What every block gave in one run."""
    seen: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda _m, _i, out: seen.append(out)) for block in blocks]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def gradient_error(theirs: nn.Module, ours: nn.Module, losses: tuple[Tensor, Tensor]) -> float:
    """The largest difference among gradients, relative to each parameter's own (plus one)."""
    for loss in losses:
        loss.backward()
    state = {name: torch.zeros_like(x) for name, x in theirs.state_dict().items()}
    for name, parameter in theirs.named_parameters():
        if parameter.grad is not None:
            state[name] = parameter.grad
    tied = {name for name, _ in theirs.named_parameters(remove_duplicate=False)} - {
        name for name, _ in theirs.named_parameters()
    }
    wanted = rename_state(ours, {name: x for name, x in state.items() if name not in tied})
    errors = []
    for name, parameter in ours.named_parameters():
        expected = wanted[name]
        got = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        scale = 1 + expected.abs().max()
        errors.append(((got - expected).abs().max() / scale).item())
    return max(errors)
