"""Bytes that attention moves between slow and fast memory, which its time follows."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from attention_guide.functional import _checks

__all__ = ["Traffic", "untiled_traffic"]


@dataclass
class Traffic:
    """Bytes that an attention moves between slow and fast memory.

    Attributes:
        read: Bytes read from slow memory.
        written: Bytes written to it.

    Examples:
        >>> import torch
        >>> count = Traffic()
        >>> count.reads(torch.zeros(2, 3))
        >>> count.total
        24
    """

    read: int = 0
    written: int = 0

    @property
    def total(self) -> int:
        """Bytes moved either way."""
        return self.read + self.written

    def reads(self, *tensors: Tensor | None) -> None:
        """Count tensors as read."""
        self.read += _bytes(*tensors)

    def writes(self, *tensors: Tensor | None) -> None:
        """Count tensors as written."""
        self.written += _bytes(*tensors)


def untiled_traffic(
    q: Float[Tensor, "B H T K"], k: Float[Tensor, "B G S K"], v: Float[Tensor, "B G S E"]
) -> Traffic:
    """Bytes that attention moves when scores and weights go through slow memory.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, S, K)`.
        v: Values, `(B, G, S, E)`.

    Returns:
        The traffic of the forward pass: the scores are written and read, the weights are written
        and read, and each input and output moves once.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape is wrong.

    Examples:
        >>> import torch
        >>> x = torch.randn(1, 1, 2, 1)
        >>> untiled_traffic(x, x, x)
        Traffic(read=56, written=40)
    """
    q, k = _checks.query_key(q, k)
    v = _checks.value(v, k)
    cells = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] * q.element_size()
    count = Traffic(read=2 * cells, written=2 * cells)
    count.reads(q, k, v)
    count.written += q.numel() // q.shape[3] * v.shape[3] * q.element_size()
    return count


def _bytes(*tensors: Tensor | None) -> int:
    kept = (_checks.tensor("tensors", x) for x in tensors if x is not None)
    return sum(x.numel() * x.element_size() for x in kept)
