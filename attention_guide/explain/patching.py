"""Activation patching: put one piece of a clean run into a corrupted one, see what it restores."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_guide.explain._inputs import Score, ask_without_graph, tokens
from attention_guide.functional import _checks

__all__ = ["outputs_of", "patched", "patching_by_head", "patching_by_position"]


def patching_by_position(
    score: Score, clean: Tensor, corrupt: Tensor, modules: Mapping[str, nn.Module]
) -> Float[Tensor, "N T"]:
    r"""Share restored, $(y(\text{patched}) - y(\text{corrupt})) / (y(\text{clean}) - y(\text{corrupt}))$.

    For every module and position: the corrupted input runs, with that module's output at that
    position taken from the clean run. 1: this vector alone carries what the corruption destroyed;
    0: none of it. Scores are averaged over the batch before the division.

    Args:
        score: Runs the model on inputs `(B, T, ...)` and returns `(B,)`, a difference of two
            logits, say; deterministic.
        clean: Inputs, `(B, T, ...)`.
        corrupt: Inputs of the same shape that differ in what is to be located.
        modules: Name to module, N of them; the output of each is `(B, T, D)` and computed once.

    Returns:
        `(N, T)`, rows in the order of `modules`.

    Raises:
        TypeError: A module's output or the score isn't a floating-point tensor.
        ValueError: Shapes that differ, a module that runs not exactly once, an output that isn't
            `(B, T, D)`, or clean and corrupted scores that are equal.

    Cost:
        N · T + 3 forward passes.

    Source:
        Vig et al., "Investigating Gender Bias in Language Models Using Causal Mediation Analysis",
        NeurIPS 2020, arXiv:2004.12265; for metrics, Zhang & Nanda, "Towards Best Practices of
        Activation Patching in Language Models", ICLR 2024, arXiv:2309.16042.

    Examples:
        >>> first, second = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> def score(x):
        ...     return second(first(x))[:, -1].sum(-1)
        >>> clean, corrupt = torch.ones(1, 3, 2), torch.zeros(1, 3, 2)
        >>> patching_by_position(score, clean, corrupt, {"first": first})
        tensor([[0., 0., 1.]])
    """  # noqa: E501 - the formula line
    run = _Comparison(score, clean, corrupt)
    kept = outputs_of(lambda: run.ask(clean), modules)
    length = clean.shape[1]
    for name, value in kept.items():
        if value.shape[1] != length:
            raise ValueError(
                f"modules[{name!r}]: expected an output (B, T, D) with T = {length}; "
                f"got {_checks.shape(value)}"
            )
    rows = []
    for name, module in modules.items():
        row = []
        for position in range(length):
            where = torch.zeros(1, length, 1, dtype=torch.bool, device=kept[name].device)
            where[:, position] = True
            with patched(module, kept[name], where):
                row.append(run.restored())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def patching_by_head(
    score: Score, clean: Tensor, corrupt: Tensor, layers: Mapping[str, nn.Module]
) -> Float[Tensor, "N H"]:
    r"""Share restored by one head: its output at all positions is taken from the clean run.

    Args:
        score: As in `patching_by_position`.
        clean: Inputs, `(B, T, ...)`.
        corrupt: Inputs of the same shape.
        layers: Name to attention layer with `n_heads` and `out_proj`, as `MultiHeadAttention`
            has them; N of them, all with H heads.

    Returns:
        `(N, H)`, rows in the order of `layers`.

    Raises:
        TypeError: A layer has no `n_heads` and `out_proj`.
        ValueError: As `patching_by_position`, or layers with different numbers of heads.

    Cost:
        N · H + 3 forward passes.

    Source:
        As `patching_by_position`.

    Examples:
        >>> from attention_guide.layers import MultiHeadAttention
        >>> layer = MultiHeadAttention(8, n_heads=1)
        >>> def score(x):
        ...     return layer(x)[:, -1].sum(-1)
        >>> clean, corrupt = torch.ones(1, 3, 8), torch.zeros(1, 3, 8)
        >>> patching_by_head(score, clean, corrupt, {"only": layer})
        tensor([[1.]])
    """
    # Heads are still apart in what the output projection is given.
    gates: dict[str, nn.Module] = {}
    counts: set[int] = set()
    for name, layer in layers.items():
        gate, count = getattr(layer, "out_proj", None), getattr(layer, "n_heads", None)
        if not isinstance(gate, nn.Module) or not isinstance(count, int):
            raise TypeError(f"layers[{name!r}]: expected n_heads and out_proj; got {type(layer)}")
        gates[name] = gate
        counts.add(count)
    if len(counts) != 1:
        raise ValueError(f"layers: expected one number of heads; got {sorted(counts)}")
    (heads,) = counts
    run = _Comparison(score, clean, corrupt)
    kept = _watched(lambda: run.ask(clean), gates, inputs=True)
    rows = []
    for name, gate in gates.items():
        row = []
        for head in range(heads):
            where = torch.zeros(kept[name].shape[-1], dtype=torch.bool, device=kept[name].device)
            where.view(heads, -1)[head] = True
            with _replaced(gate, kept[name], where, inputs=True):
                row.append(run.restored())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def outputs_of(
    run: Callable[[], object], modules: Mapping[str, nn.Module]
) -> dict[str, Float[Tensor, "B T D"]]:
    """What each module returned while `run` ran, $h_n$, detached.

    Args:
        run: Runs the model once.
        modules: Name to module; the output of each is `(B, T, D)`.

    Returns:
        Name to `(B, T, D)`.

    Raises:
        TypeError: An output isn't a floating-point tensor.
        ValueError: No modules, a module that runs not exactly once, or an output that isn't
            `(B, T, D)`.

    Examples:
        >>> layer = nn.Linear(2, 5)
        >>> outputs_of(lambda: layer(torch.ones(1, 3, 2)), {"layer": layer})["layer"].shape
        torch.Size([1, 3, 5])
    """
    return _watched(run, modules, inputs=False)


@contextmanager
def patched(
    module: nn.Module, value: Float[Tensor, "B T D"], where: Bool[Tensor, "..."] | None = None
) -> Iterator[None]:
    """Inside the block, the module's output is `value` where `where` is True.

    Args:
        module: Any module that returns one tensor.
        value: What it returns instead, `(B, T, D)`.
        where: Bool, broadcastable to `(B, T, D)`; `None` for everywhere.

    Raises:
        TypeError: `value` isn't floating point, or `where` isn't bool. In the block: the module's
            output has another dtype than `value`.
        ValueError: In the block: the module's output has another shape than `value`, or `where`
            doesn't broadcast to it.

    Examples:
        >>> layer = nn.Linear(2, 2)
        >>> with patched(layer, torch.zeros(1, 3, 2)):
        ...     print(layer(torch.ones(1, 3, 2)).abs().sum().item())
        0.0
    """
    with _replaced(module, value, where, inputs=False):
        yield


class _Comparison:
    """The score between the corrupted and the clean run, as a share of the way."""

    def __init__(self, score: Score, clean: Tensor, corrupt: Tensor) -> None:
        tokens("clean", clean)
        if tokens("corrupt", corrupt).shape != clean.shape:
            raise ValueError(
                f"corrupt: expected the shape of clean, {_checks.shape(clean)}; "
                f"got {_checks.shape(corrupt)}"
            )
        self.score, self.corrupt = score, corrupt
        self.low, self.high = self.ask(corrupt).mean(), self.ask(clean).mean()
        if self.low == self.high:
            raise ValueError(f"corrupt: it scores as clean does, {float(self.low):g}")

    def ask(self, x: Tensor) -> Tensor:
        return ask_without_graph(self.score, x, None)

    def restored(self) -> Tensor:
        return (self.ask(self.corrupt).mean() - self.low) / (self.high - self.low)


def _watched(
    run: Callable[[], object], modules: Mapping[str, nn.Module], *, inputs: bool
) -> dict[str, Tensor]:
    if not modules:
        raise ValueError("modules: expected at least one; got none")
    seen: dict[str, list[Tensor]] = {name: [] for name in modules}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, given: tuple[object, ...], output: object) -> None:
            value = _checks.floating(f"modules[{name!r}]", given[0] if inputs else output)
            _checks.rank(f"modules[{name!r}]", value, "B T D")
            seen[name].append(value.detach())

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in modules.items()]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    for name, values in seen.items():
        if len(values) != 1:
            raise ValueError(
                f"modules[{name!r}]: expected to run once in a call of run; it ran {len(values)}x"
            )
    return {name: values[0] for name, values in seen.items()}


@contextmanager
def _replaced(
    module: nn.Module, value: Tensor, where: Tensor | None, *, inputs: bool
) -> Iterator[None]:
    _checks.floating("value", value)
    if where is not None and _checks.tensor("where", where).dtype != torch.bool:
        raise TypeError(f"where: expected torch.bool (True = patched); got {where.dtype}")

    def merge(own: object) -> Tensor:
        own = _checks.tensor("module's output", own)
        if own.shape != value.shape:
            raise ValueError(
                f"value: expected what the module computes, {_checks.shape(own)}; "
                f"got {_checks.shape(value)}"
            )
        _checks.like("value", value, "what the module computes", own)
        if where is None:
            return value
        _checks.broadcastable("where", where, own.shape, "B T D")
        _checks.same_device("where", where, "value", value)
        return torch.where(where, value, own)

    if inputs:
        handle = module.register_forward_pre_hook(lambda _, given: (merge(given[0]), *given[1:]))
    else:
        handle = module.register_forward_hook(lambda _, given, output: merge(output))
    try:
        yield
    finally:
        handle.remove()
