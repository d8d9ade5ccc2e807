"""What the parity tests against Hugging Face share: references in true float64, tiny batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attention_guide import AttentionRecorder
from attention_guide.checkpoints import (
    from_hugging_face,
    load_hugging_face,
    save_hugging_face,
    to_hugging_face,
)
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


def compare_writers(
    record: Callable[[str, float], None],
    theirs: nn.Module,
    ours: nn.Module,
    source: tuple[str, Tensor],
    text: Tensor,
    *,
    encoder: str,
    stacks: Mapping[str, nn.ModuleList],
) -> Any:
    """Compare two models that write about a source, down to the gradients.

    Args:
        record: Takes what was compared, and the error.
        theirs: The reference.
        ours: Our model with its weights.
        source: The name of the reference's argument, and the source.
        text: Ids that both are given.
        encoder: Matches our encoder's attention.
        stacks: Our blocks; the key is the beginning of the name of their hidden states.

    Returns:
        What the reference gave.
    """
    name, x = source
    expected = theirs(
        **{name: x}, decoder_input_ids=text, output_hidden_states=True, output_attentions=True,
        use_cache=False,
    )  # fmt: skip

    def run() -> Tensor:
        return ours(x, text)  # type: ignore[no-any-return]

    logits = run()
    record("logits", worst([(logits, expected.logits)]))
    for match, attentions in [
        (encoder, expected.encoder_attentions),
        ("decoder.*self", expected.decoder_attentions),
        ("decoder.*cross", expected.cross_attentions),
    ]:
        maps = recorded(ours, match, run)
        record("attention", worst(list(zip(maps, attentions, strict=True))))
    for stack, blocks in stacks.items():
        # The last of theirs is after the norm.
        hidden = block_outputs(blocks, run)[:-1]
        states = expected[f"{stack}_hidden_states"][1:-1]
        record("hidden states", worst(list(zip(hidden, states, strict=True))))
    direction = torch.randn_like(logits)
    losses = ((expected.logits * direction).sum(), (logits * direction).sum())
    record("gradients", gradient_error(theirs, ours, losses))
    return expected


def round_trip(theirs: nn.Module, folder: Path, *, unused: str = " ") -> None:
    """Assert that weights come and go unchanged, in memory and as files, either way.

    Args:
        theirs: The reference.
        folder: An empty folder.
        unused: Part of the names of tensors that their file has and their result doesn't need.
    """
    ours = ours_of(theirs)
    config, state = to_hugging_face(ours)
    again = from_hugging_face(config, state)
    assert again.config == ours.config
    kept = again.state_dict()
    assert all(torch.equal(kept[key], x) for key, x in ours.state_dict().items())
    # Their library reads what we write, from a folder, and we what they write.
    written = save_hugging_face(ours, folder / "ours")
    reread = type(theirs).from_pretrained(written, local_files_only=True).eval()
    original = {name: x for name, x in theirs.state_dict().items() if unused not in name}
    found = {name: x for name, x in reread.state_dict().items() if unused not in name}
    assert found.keys() == original.keys()
    assert all(torch.equal(x, original[name]) for name, x in found.items())
    theirs.save_pretrained(folder / "theirs")
    loaded = load_hugging_face(folder / "theirs").state_dict()
    assert all(torch.equal(loaded[key], x) for key, x in ours.state_dict().items())
