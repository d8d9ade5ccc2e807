"""The same recipe in one process or, under `torchrun`, in several: DDP and FSDP.

    with World.start() as world:
        model = world.wrap(model, "fsdp")
        batches = world.share(batches)
        fit(model, batches, loss, optimizer=adamw(model, lr), weigh=target_tokens(), ...)

In one process `wrap` only moves the model to the device, and `share` each batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

Strategy: TypeAlias = Literal["ddp", "fsdp"]


@dataclass(frozen=True)
class World:
    """The processes that train together, and which of them this is.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
        device: Where this one computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    @contextmanager
    def start(cls) -> Generator[World]:
        """Join the processes that `torchrun` started; by itself, a world of one.

        Yields:
            The world. NCCL connects GPUs, gloo everything else.

        Examples:
            >>> with World.start() as world:
            ...     world.size
            1
        """
        gpu = torch.cuda.is_available()
        local = int(os.environ.get("LOCAL_RANK", "0"))
        device = torch.device("cuda", local) if gpu else torch.device("cpu")
        if gpu:
            torch.cuda.set_device(device)
        if "WORLD_SIZE" not in os.environ:
            yield cls(device=device)
            return
        dist.init_process_group("nccl" if gpu else "gloo")
        try:
            yield cls(dist.get_rank(), dist.get_world_size(), device)
        finally:
            dist.destroy_process_group()

    def wrap(self, model: nn.Module, strategy: Strategy = "ddp") -> nn.Module:
        """Make the model train with its copies in the other processes. Do it before the optimiser.

        Args:
            model: The model. All processes start with the weights of process 0.
            strategy: `"ddp"`: every process has all weights. `"fsdp"`: each has its part of
                every matrix, gradient and optimiser state, and gathers the others' when a
                block (a member of an outermost `nn.ModuleList`) needs them.

        Returns:
            The model, moved to the device; in a world of one, otherwise untouched. Call the
            model itself: its other methods are those of `bare(model)` with DDP, and see only
            their part of the weights with FSDP.

        Raises:
            ValueError: The strategy is unknown.

        Source:
            Li et al. (2020), arXiv:2006.15704, for DDP; Zhao et al. (2023), arXiv:2304.11277,
            for FSDP. `fully_shard` is its second version in torch.
        """
        if strategy not in ("ddp", "fsdp"):
            raise ValueError(f"strategy: expected 'ddp' or 'fsdp', got {strategy!r}")
        model = model.to(self.device)
        if self.size == 1:
            return model
        if strategy == "ddp":
            return DistributedDataParallel(model)
        from torch.distributed.fsdp import fully_shard  # here: its import takes a second

        for tensor in [*model.parameters(), *model.buffers()]:
            dist.broadcast(tensor.detach(), src=0)
        for block in _blocks(model):
            fully_shard(block)
        fully_shard(model)
        return model

    def share(self, batches: Iterable[Any]) -> Iterable[Any]:
        """This process's rows of each batch, on its device: together they are the batch.

        Args:
            batches: The batches of the whole world, the same in every process: tensors, or
                tuples, lists and dictionaries of tensors whose first axis is the batch.

        Returns:
            An iterable of parts. Where rows don't divide evenly the parts differ by one, so
            that `fit` needs `weigh` to count them right.
        """
        return _Share(batches, self)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    # Not the lists inside a block: which of its experts run differs from process to process,
    # and a process that gathered one alone would wait for the others forever.
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from (block for block in child if any(True for _ in block.parameters()))
        else:
            yield from _blocks(child)


class _Share:
    """Rows of each batch, dealt out; the position in the data is that of the batches."""

    def __init__(self, batches: Iterable[Any], world: World) -> None:
        self.batches, self.world = batches, world

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            yield self._part(batch)

    def _part(self, batch: Any) -> Any:
        if isinstance(batch, Tensor):
            if len(batch) < self.world.size:
                raise ValueError(
                    f"batch: expected a row for each of {self.world.size} processes, "
                    f"got {len(batch)}"
                )
            parts = torch.tensor_split(batch, self.world.size)
            return parts[self.world.rank].to(self.world.device)
        if isinstance(batch, Mapping):
            return {key: self._part(value) for key, value in batch.items()}
        if isinstance(batch, tuple) and hasattr(batch, "_fields"):
            return type(batch)(*map(self._part, batch))
        if isinstance(batch, list | tuple):
            return type(batch)(map(self._part, batch))
        return batch

    def state_dict(self) -> Any:
        """The position in the data, where the batches know theirs."""
        return self.batches.state_dict()  # type: ignore[attr-defined]

    def load_state_dict(self, state: Any) -> None:
        """Go on from a position."""
        self.batches.load_state_dict(state)  # type: ignore[attr-defined]


def world_size() -> int:
    """How many processes train together: 1 outside of `torchrun`.

    >>> world_size()
    1
    """
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this is process 0, which alone prints and writes files.

    >>> is_main()
    True
    """
    return world_size() == 1 or dist.get_rank() == 0


def total(number: float) -> float:
    """`Σ_r x_r` over the processes.

    >>> total(2.0)
    2.0
    """
    if world_size() == 1:
        return number
    gpu = dist.get_backend() == "nccl"
    tensor = torch.tensor(number, dtype=torch.float64, device="cuda" if gpu else "cpu")
    dist.all_reduce(tensor)
    return float(tensor)


def gradient_sync(model: nn.Module, *, last: bool) -> AbstractContextManager[object]:
    """Whether the backward pass inside exchanges gradients: only that of a step's last part.

    Args:
        model: The model, wrapped or not.
        last: Whether this is the last part.

    Returns:
        The context.

    Examples:
        >>> with gradient_sync(nn.Linear(1, 1), last=True):
        ...     pass
    """
    if isinstance(model, DistributedDataParallel):
        return nullcontext() if last else model.no_sync()
    fsdp: Callable[[bool], None] | None = getattr(model, "set_requires_gradient_sync", None)
    if fsdp is not None:
        fsdp(last)
    return nullcontext()


def bare(model: nn.Module) -> nn.Module:
    """The model without DDP's wrapper, so that names in a checkpoint are its own.

    >>> type(bare(nn.Linear(1, 1))).__name__
    'Linear'
    """
    return model.module if isinstance(model, DistributedDataParallel) else model


def whole(value: Any) -> Any:
    """Replace each sharded tensor in a nest of dictionaries and lists by the whole tensor.

    Every process must call it. What isn't sharded stays as it is.

    >>> whole({"a": [1, 2]})
    {'a': [1, 2]}
    """
    if isinstance(value, Tensor):
        full: Callable[[], Tensor] | None = getattr(value, "full_tensor", None)
        return value if full is None else full()
    if isinstance(value, Mapping):
        return {key: whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return value


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's state dict with whole tensors and its own names, wrapped or not.

    Every process must call it. The tensors may be the model's own: copy what you keep.

    >>> sorted(weights_of(nn.Linear(1, 1)))
    ['bias', 'weight']
    """
    weights: dict[str, Tensor] = whole(dict(bare(model).state_dict()))
    return weights


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put back what `weights_of` gave, into a model that may be wrapped otherwise.

    Args:
        model: A model of the same shape; overwritten.
        weights: Name to whole tensor.

    Raises:
        RuntimeError: The model has other parameters (torch's own message).

    Examples:
        >>> load_weights(nn.Linear(1, 1), weights_of(nn.Linear(1, 1)))
    """
    model = bare(model)
    own = model.state_dict()
    model.load_state_dict({k: like(v, own[k]) if k in own else v for k, v in weights.items()})


def like(value: Tensor, model_tensor: Tensor) -> Tensor:
    """Shard a whole tensor as another is sharded, if that is of the same shape.

    >>> like(torch.ones(2), torch.zeros(2))
    tensor([1., 1.])
    """
    if hasattr(model_tensor, "device_mesh") and value.shape == model_tensor.shape:
        from torch.distributed.tensor import DTensor, distribute_tensor

        assert isinstance(model_tensor, DTensor)
        value = value.to(model_tensor.device)
        return distribute_tensor(value, model_tensor.device_mesh, model_tensor.placements)
    return value
