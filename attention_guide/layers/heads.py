"""What every attention layer does around the function: split, merge, and let a recorder watch."""

from typing import Any, Protocol, runtime_checkable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from attention_guide.functional import Kernel, attention, attention_weights
from attention_guide.functional.groups import weighted_sum


@runtime_checkable
class WeightRecorder(Protocol):
    """What a layer hands its attention weights to while an `AttentionRecorder` watches it.

    A layer that can be watched has a class attribute `recorder = None`, and calls
    `self.recorder.add(weights)` where it isn't `None`.

    Examples:
        >>> import torch
        >>> from attention_guide.layers import MultiHeadAttention
        >>> class Printer:
        ...     def add(self, weights, *, resumed=False, positions=None):
        ...         print(tuple(weights.shape))
        ...         return weights
        >>> layer = MultiHeadAttention(8, 2)
        >>> layer.recorder = Printer()
        >>> _ = layer(torch.ones(1, 3, 8))
        (1, 2, 3, 3)
    """

    def add(
        self,
        weights: Tensor,
        *,
        resumed: bool = False,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Take the weights `(B, H, T, S)`; return those that the layer goes on with.

        `resumed`: these T queries continue the last call (a step of decoding). `positions`: the
        columns' absolute positions `(S,)`, where some tokens have been forgotten.
        """


def split_heads(x: Float[Tensor, "B T HK"], n_heads: int) -> Float[Tensor, "B H T K"]:
    """Give each head its slice of the width, `(B, T, H · K)` → `(B, H, T, K)`.

    Raises:
        ValueError: The width isn't a multiple of H.

    Examples:
        >>> import torch
        >>> split_heads(torch.ones(2, 5, 12), 3).shape
        torch.Size([2, 3, 5, 4])
    """
    batch, length, width = x.shape
    if width % n_heads:
        raise ValueError(f"x: expected (B, T, H · K) with H = {n_heads}; got {tuple(x.shape)}")
    # Told, not left to -1, which says nothing where there are no tokens.
    return x.reshape(batch, length, n_heads, width // n_heads).transpose(1, 2)


def merge_heads(x: Float[Tensor, "B H T K"]) -> Float[Tensor, "B T HK"]:
    """Put the heads side by side again, `(B, H, T, K)` → `(B, T, H · K)`.

    Examples:
        >>> import torch
        >>> x = torch.randn(2, 5, 12)
        >>> torch.equal(merge_heads(split_heads(x, 3)), x)
        True
    """
    return x.transpose(1, 2).flatten(2)


def attend_or_record(
    recorder: WeightRecorder | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    dropout: float = 0.0,
    kernel: Kernel | None = None,
    resumed: bool = False,
    positions: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """`attention`; or, where a recorder watches, the same from weights that it gets to see.

    Args:
        recorder: What watches, or `None`.
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, S, K)`.
        v: Values, `(B, G, S, E)`.
        dropout: As in `attention`; a recorder sees the weights before it.
        kernel: As in `attention`; a recorder makes it the reference.
        resumed: For the recorder: these queries continue its last map.
        positions: For the recorder: where the keys stand, if some have been forgotten.
        **options: The rest of `attention`'s arguments.

    Returns:
        `(B, H, T, E)`.

    Examples:
        >>> import torch
        >>> q, k, v = torch.randn(3, 1, 2, 4, 8)
        >>> attend_or_record(None, q, k, v, causal=True).shape
        torch.Size([1, 2, 4, 8])
    """
    if recorder is None:
        return attention(q, k, v, dropout=dropout, kernel=kernel, **options)
    weights = attention_weights(q, k, **options)
    weights = recorder.add(weights, resumed=resumed, positions=positions)
    return weighted_sum(F.dropout(weights, dropout), v)
