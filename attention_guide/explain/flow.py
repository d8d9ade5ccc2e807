"""Attention flow: how much can pass from an input token to an output token, as water in pipes."""

from collections import deque
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.explain._inputs import listed
from attention_guide.explain.rollout import mixing
from attention_guide.functional import _checks

__all__ = ["attention_flow", "max_flow"]


def attention_flow(
    layers: Iterable[Float[Tensor, "B H T T"]],
    *,
    residual: float = 0.5,
    queries: Sequence[int] | None = None,
) -> Float[Tensor, "B N T"]:
    r"""Attention flow, $F_{ts} = \mathrm{maxflow}(t \to s)$ with the mixing $M_l$ as capacities.

    Layers of tokens are joined by pipes as wide as `rollout`'s mixing weights; $F_{ts}$ is how
    much can run at once from output token t down to input token s. It is never below the rollout,
    since the rollout's paths are one way to let it run. A row isn't a distribution: divide it by
    its sum to compare it with one.

    Args:
        layers: One map `(B, H, T, T)` a layer, the first layer first.
        residual: The share of the residual connection.
        queries: Which output tokens to compute, N of them; `None` for all T.

    Returns:
        `(B, N, T)`, float64, on the CPU.

    Raises:
        TypeError: As `rollout`, or `queries` that aren't ints.
        ValueError: As `rollout`, or a query that isn't there.

    Cost:
        B · N · T maximum flows on `L · T²` pipes, in plain Python. For long inputs ask for the one
        query that the prediction reads.

    Source:
        Abnar & Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020, arXiv:2005.00928,
        section 3. The algorithm is Dinits's (1970), written here: the package depends on no graph
        library, and the tests compare it with networkx.

    Examples:
        >>> attend_left = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
        >>> attention_flow([attend_left, attend_left])[0]
        tensor([[1.0000, 0.0000],
                [1.0000, 0.5000]], dtype=torch.float64)
    """
    mixed = [layer.detach().cpu().double() for layer in mixing(layers, residual=residual)]
    size = mixed[0].shape[-1]
    wanted = listed("queries", range(size) if queries is None else queries, "ints")
    if not wanted or not all(_checks.integer("queries", query) in range(size) for query in wanted):
        raise ValueError(f"queries: expected some of 0 to {size - 1}; got {wanted}")
    # Down from the last layer: the source is an output token, the drain an input token.
    down = torch.stack(mixed[::-1], dim=1)
    flows = []
    for item in down.tolist():
        network = _Network(size * (len(item) + 1))
        for depth, layer in enumerate(item):
            for above, row in enumerate(layer):
                for below, width in enumerate(row):
                    if width > 0:
                        start = size * depth
                        network.join(start + above, start + size + below, width)
        drain = size * len(item)
        flows.append([[network.flow(q, drain + s) for s in range(size)] for q in wanted])
    return torch.tensor(flows, dtype=torch.float64)


def max_flow(pipes: Iterable[tuple[int, int, float]], source: int, drain: int) -> float:
    r"""The maximum flow, $\max_f \sum_v f_{sv}$, within the capacities of a directed graph.

    Args:
        pipes: `(from, to, capacity)`, nodes counted from 0, capacities of 0 or more.
        source: Where the flow comes in.
        drain: Where it goes out.

    Returns:
        The value of a maximum flow.

    Raises:
        ValueError: Source and drain are the same node, or a capacity or a node is negative.

    Cost:
        At most of the order of (nodes)² · (pipes) steps.

    Source:
        Dinits, "Algorithm to solve the maximum network flow problem with a power bound",
        Doklady Akademii Nauk SSSR 194 (1970), pp. 754–757 (in Russian).

    Examples:
        >>> max_flow([(0, 1, 3.0), (0, 2, 2.0), (1, 3, 2.0), (2, 3, 4.0), (1, 2, 5.0)], 0, 3)
        5.0
    """
    pipes = list(pipes)
    if source == drain:
        raise ValueError(f"drain: expected a node other than the source; got {drain}")
    for start, end, width in pipes:
        if start < 0 or end < 0 or not width >= 0:
            raise ValueError(
                f"pipes: expected nodes and capacities of 0 or more; got {start, end, width}"
            )
    network = _Network(1 + max([source, drain, *(node for pipe in pipes for node in pipe[:2])]))
    for start, end, width in pipes:
        network.join(start, end, width)
    return network.flow(source, drain)


class _Network:
    """Pipes and what room is left in them; pipe i and its way back i ^ 1 stand side by side."""

    def __init__(self, nodes: int) -> None:
        self.leaving: list[list[int]] = [[] for _ in range(nodes)]
        self.end: list[int] = []
        self.width: list[float] = []

    def join(self, start: int, end: int, width: float) -> None:
        for node, target, room in ((start, end, width), (end, start, 0.0)):
            self.leaving[node].append(len(self.end))
            self.end.append(target)
            self.width.append(room)

    def flow(self, source: int, drain: int) -> float:
        room, total = list(self.width), 0.0
        while True:
            depth = self._depths(room, source, drain)
            if depth[drain] < 0:
                return total
            tried = [0] * len(self.leaving)
            while (pushed := self._push(room, depth, tried, source, drain)) > 0:
                total += pushed

    def _depths(self, room: list[float], source: int, drain: int) -> list[int]:
        """Pipes from the source to each node, -1 where none lead."""
        depth = [-1] * len(self.leaving)
        depth[source] = 0
        waiting = deque([source])
        while waiting and depth[drain] < 0:
            node = waiting.popleft()
            for pipe in self.leaving[node]:
                if room[pipe] > 0 and depth[self.end[pipe]] < 0:
                    depth[self.end[pipe]] = depth[node] + 1
                    waiting.append(self.end[pipe])
        return depth

    def _push(
        self, room: list[float], depth: list[int], tried: list[int], source: int, drain: int
    ) -> float:
        """Fill one path that goes one deeper with every pipe; 0 when there is none left."""
        path: list[int] = []
        node = source
        while node != drain:
            if tried[node] == len(self.leaving[node]):
                if not path:
                    return 0.0
                node = self.end[path.pop() ^ 1]
                tried[node] += 1
                continue
            pipe = self.leaving[node][tried[node]]
            if room[pipe] > 0 and depth[self.end[pipe]] == depth[node] + 1:
                path.append(pipe)
                node = self.end[pipe]
            else:
                tried[node] += 1
        pushed = min(room[pipe] for pipe in path)
        # The narrowest is full to the last bit, x - x = 0: rounding can't make this run on forever.
        for pipe in path:
            room[pipe] -= pushed
            room[pipe ^ 1] += pushed
        return pushed
