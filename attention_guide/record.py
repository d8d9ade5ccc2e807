"""Attention weights of chosen layers, kept while a `with` block runs; nothing is paid outside."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Match: TypeAlias = str | Iterable[str] | Callable[[str, nn.Module], bool]
Reduce: TypeAlias = Literal["heads", "batch"] | Callable[[Tensor], Tensor]
Keep: TypeAlias = Literal["last", "all", "mean"]


class AttentionRecorder(Mapping[str, Tensor]):
    """Attention weights by layer name, recorded while the `with` block runs.

    Inside the block, the chosen layers compute their weights by the reference and hand them
    over; the model's outputs stay the same up to rounding. Outside, they use their fast kernels
    and pay nothing. What was recorded stays readable after the block.

    A forward pass starts a new map. Decoding step by step with a cache (or a recurrent decoder's
    state) continues the map: each step adds its rows, and columns that a row couldn't see yet
    are 0.

    Args:
        model: The model, or any module with attention layers inside.
        match: Which layers: a name, or a pattern found anywhere in the name (`re.search`); several
            of these; or a predicate `match(name, module)`. `None` for all.
        reduce: "heads" or "batch" averages over that axis, keeping it with length 1; a function
            makes what it likes of each call's `(B, H, T, S)`. `None` keeps everything.
        keep: "last" the last pass, "all" every pass (see `passes`), "mean" the mean over passes
            of one shape.
        gradients: Leave the weights in the autograd graph, and keep their gradients for `grad`.

    Raises:
        TypeError: `match` is none of these.
        ValueError: Nothing matches (the message lists the names there are), a pattern is no
            regular expression, or an option has another value than those above.
        RuntimeError: On entering: another recorder watches one of the layers.

    Examples:
        >>> import torch
        >>> from attention_guide.models import Transformer, TransformerConfig
        >>> config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=2)
        >>> model = Transformer(config).eval()
        >>> with AttentionRecorder(model, match="decoder.*cross") as maps:
        ...     logits = model(torch.tensor([[5, 6, 7, 2]]), torch.tensor([[1, 9, 8]]))
        >>> for name, weights in maps.items():
        ...     print(name, tuple(weights.shape))
        decoder.blocks.0.cross_attention (1, 2, 3, 4)
        decoder.blocks.1.cross_attention (1, 2, 3, 4)
    """

    def __init__(
        self,
        model: nn.Module,
        match: Match | None = None,
        *,
        reduce: Reduce | None = None,
        keep: Keep = "last",
        gradients: bool = False,
    ) -> None:
        if keep not in ("last", "all", "mean"):
            raise ValueError(f'keep: expected "last", "all" or "mean"; got {keep!r}')
        if keep == "mean" and gradients:
            raise ValueError('keep: "mean" keeps no gradients; use "last" or "all"')
        layers = {n: m for n, m in model.named_modules() if hasattr(type(m), "recorder")}
        chosen = layers if match is None else _select(layers, match)
        self._layers = chosen
        self._sinks = {name: _Sink(_reducer(reduce), keep, gradients) for name in chosen}

    def __enter__(self) -> "AttentionRecorder":
        watched = [name for name, layer in self._layers.items() if "recorder" in vars(layer)]
        if watched:
            raise RuntimeError(f"another AttentionRecorder watches {', '.join(watched)}")
        for name, layer in self._layers.items():
            # On the instance, where it shadows the class's None until __exit__ deletes it.
            vars(layer)["recorder"] = self._sinks[name]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for layer in self._layers.values():
            vars(layer).pop("recorder", None)

    @property
    def names(self) -> tuple[str, ...]:
        """The chosen layers, in the model's order, recorded or not."""
        return tuple(self._layers)

    def __getitem__(self, name: str) -> Float[Tensor, "..."]:
        return self._sink(name).latest()

    def __iter__(self) -> Iterator[str]:
        return (name for name, sink in self._sinks.items() if sink.passes)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def passes(self, name: str) -> list[Tensor]:
        """One map a forward pass, the oldest first (`keep="all"`; else one at most).

        Examples:
            >>> import torch
            >>> from attention_guide.layers import MultiHeadAttention
            >>> layer = MultiHeadAttention(8, 2)
            >>> with AttentionRecorder(layer, keep="all") as maps:
            ...     _ = layer(torch.ones(1, 3, 8)), layer(torch.ones(1, 5, 8))
            >>> [tuple(weights.shape) for weights in maps.passes("")]
            [(1, 2, 3, 3), (1, 2, 5, 5)]
        """
        sink = self._sink(name)
        return [sink.latest()] if sink.keep == "mean" else [_join(p) for p in sink.passes]

    def grad(self, name: str) -> Tensor:
        """The gradient of whatever was differentiated, with respect to the last pass's weights.

        Raises:
            RuntimeError: `gradients` is off, or nothing was differentiated yet.

        Examples:
            >>> import torch
            >>> from attention_guide.layers import MultiHeadAttention
            >>> layer = MultiHeadAttention(8, 2)
            >>> with AttentionRecorder(layer, gradients=True) as maps:
            ...     layer(torch.ones(1, 3, 8)).sum().backward()
            >>> maps.grad("").shape
            torch.Size([1, 2, 3, 3])
        """
        return self._sink(name).grad()

    def to_bertviz(self, match: Match | None = None, *, item: int = 0) -> tuple[Tensor, ...]:
        """What bertviz reads: a tuple of `(1, H, T, S)`, one a layer, for one item of the batch.

        For an encoder or a decoder-only model: `head_view(maps.to_bertviz(), tokens)`. For an
        encoder–decoder: `head_view(encoder_attention=maps.to_bertviz("encoder"),
        decoder_attention=maps.to_bertviz("decoder.*self"),
        cross_attention=maps.to_bertviz("cross"), encoder_tokens=…, decoder_tokens=…)`, and
        `model_view` alike.

        Args:
            match: Which of the recorded layers, as in the constructor; `None` for all.
            item: Which item of the batch, from 0.

        Returns:
            A tuple of `(1, H, T, S)` on the CPU, in the model's order.

        Raises:
            TypeError: `match` is none of those that the constructor takes.
            ValueError: Nothing was recorded, nothing matches, the layers' shapes differ (bertviz
                stacks them), or the batch has no such item.

        Examples:
            >>> import torch
            >>> from attention_guide.layers import MultiHeadAttention
            >>> model = torch.nn.Sequential(MultiHeadAttention(8, 2), MultiHeadAttention(8, 2))
            >>> with AttentionRecorder(model) as maps:
            ...     _ = model(torch.ones(4, 3, 8))
            >>> [tuple(layer.shape) for layer in maps.to_bertviz(item=2)]
            [(1, 2, 3, 3), (1, 2, 3, 3)]
        """
        recorded = {name: self._layers[name] for name in self}
        chosen = recorded if match is None else _select(recorded, match)
        maps = [self[name].detach() for name in chosen]
        shapes = {(1, *weights.shape[1:]) for weights in maps}
        if len(shapes) != 1 or any(len(shape) != 4 for shape in shapes):
            raise ValueError(f"match: expected layers of one shape (1, H, T, S); got {shapes}")
        batch = min(len(weights) for weights in maps)
        if not isinstance(item, int) or item not in range(batch):
            raise ValueError(f"item: expected an int from 0 to B - 1 = {batch - 1}; got {item!r}")
        return tuple(weights[item : item + 1].cpu() for weights in maps)

    def clear(self) -> None:
        """Forget what was recorded."""
        for sink in self._sinks.values():
            sink.clear()

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name!r}: {tuple(w.shape)}" for name, w in self.items())
        return f"{type(self).__name__}({{{shapes}}})"

    def _sink(self, name: str) -> "_Sink":
        sink = self._sinks[name]
        if not sink.passes:
            raise KeyError(f"{name}: watched, but it hasn't run")
        return sink


class _Step(NamedTuple):
    """One call's weights, and the absolute positions of their columns where some are missing."""

    weights: Tensor
    positions: Tensor | None


class _Sink:
    """What one layer writes to; a `WeightRecorder`."""

    def __init__(
        self, reduce: Callable[[Tensor], Tensor] | None, keep: Keep, gradients: bool
    ) -> None:
        self.reduce = reduce
        self.keep = keep
        self.gradients = gradients
        self.passes: list[list[_Step]] = []
        self.sum: Tensor | None = None
        self.n_summed = 0

    def add(
        self, weights: Tensor, *, resumed: bool = False, positions: Tensor | None = None
    ) -> Tensor:
        if self.gradients and weights.requires_grad:
            weights.retain_grad()
            kept = weights
        else:
            kept = weights.detach()
            # With gradients on, reducing waits, since the gradient belongs to the whole tensor.
            kept = kept if self.reduce is None or self.gradients else self.reduce(kept)
        step = _Step(kept, positions)
        if resumed and self.passes:
            self.passes[-1].append(step)
        else:
            self._start(step)
        return weights

    def latest(self) -> Tensor:
        latest = self._finish(_join(self.passes[-1]))
        return latest if self.sum is None else self._added(latest) / (self.n_summed + 1)

    def grad(self) -> Tensor:
        steps = []
        for weights, positions in self.passes[-1]:
            if weights.grad is None:
                raise RuntimeError("no gradient: record with gradients=True, then call backward()")
            steps.append(_Step(weights.grad, positions))
        return self._finish(_join(steps))

    def clear(self) -> None:
        self.passes = []
        self.sum, self.n_summed = None, 0

    def _finish(self, joined: Tensor) -> Tensor:
        return self.reduce(joined) if self.reduce is not None and self.gradients else joined

    def _start(self, step: _Step) -> None:
        if self.keep == "mean" and self.passes:
            self.sum = self._added(_join(self.passes[-1]))
            self.n_summed += 1
        if self.keep == "all":
            self.passes.append([step])
        else:
            self.passes = [[step]]

    def _added(self, done: Tensor) -> Tensor:
        if self.sum is None:
            return done
        if self.sum.shape != done.shape:
            raise ValueError(
                f'keep: "mean" expected passes of one shape {tuple(self.sum.shape)}; '
                f"got {tuple(done.shape)}"
            )
        return self.sum + done


def _select(layers: Mapping[str, nn.Module], match: Match) -> dict[str, nn.Module]:
    if callable(match):
        chosen = {name: m for name, m in layers.items() if match(name, m)}
    else:
        wanted = _wanted(layers, match)
        # A full name means that layer alone, although "blocks.1" is found in "blocks.10", too.
        chosen = {
            name: m
            for name, m in layers.items()
            if any(name == w if w in layers else re.search(w, name) for w in wanted)
        }
    if not chosen:
        raise ValueError(
            f"match: nothing matches {match!r}; the attention layers are {', '.join(layers)}"
        )
    return chosen


def _wanted(layers: Mapping[str, nn.Module], match: str | Iterable[str]) -> list[str]:
    expected = "match: expected a name, a pattern, several of these, or a predicate"
    if not isinstance(match, Iterable):
        raise TypeError(f"{expected}; got {type(match).__name__}")
    wanted = [match] if isinstance(match, str) else list(match)
    for one in wanted:
        if not isinstance(one, str):
            raise TypeError(f"{expected}; got {one!r} among them")
        try:
            re.compile("" if one in layers else one)
        except re.error as error:
            raise ValueError(f"{expected}; {one!r} is no pattern: {error}") from error
    return wanted


def _reducer(reduce: Reduce | None) -> Callable[[Tensor], Tensor] | None:
    if reduce is None or callable(reduce):
        return reduce
    axes = {"batch": 0, "heads": 1}
    if reduce not in axes:
        raise ValueError(f'reduce: expected "heads", "batch" or a function; got {reduce!r}')
    return lambda weights: weights.mean(dim=axes[reduce], keepdim=True)


def _join(steps: list[_Step]) -> Tensor:
    """The rows of all steps, in the columns that their keys have in the whole text."""
    placed = [_place(step) for step in steps]
    if len(placed) == 1:
        return placed[0]
    if placed[0].ndim < 3:
        raise ValueError("reduce: steps of decoding can be joined only where axis 2 is still T")
    if placed[0].ndim == 4:
        width = max(weights.shape[-1] for weights in placed)
        placed = [F.pad(weights, (0, width - weights.shape[-1])) for weights in placed]
    return torch.cat(placed, dim=2)


def _place(step: _Step) -> Tensor:
    weights, positions = step
    if positions is None or weights.ndim != 4:
        return weights
    whole = weights.new_zeros(*weights.shape[:-1], int(positions.max()) + 1)
    return whole.index_copy(-1, positions, weights)
