"""Induction heads: where did this token stand before, and what came after it then?"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_guide.functional import _checks

__all__ = ["induction_score", "repeated_ids"]


def induction_score(
    weights: Float[Tensor, "B H T T"], ids: Int[Tensor, "B T"]
) -> Float[Tensor, " H"]:
    r"""Prefix matching, the mean over $t$ of $\sum_s w_{ts}\,[\mathrm{id}_{s-1} = \mathrm{id}_t]$.

    An induction head at token A looks for an earlier A and attends to the token after it, which
    another head then copies. The score is the share of its attention that goes there, averaged
    over all tokens that have occurred before: 1 for a perfect head. A head that spreads evenly
    isn't at 0 but at the share of such places. In a text of T tokens that repeats once there is one
    for each query: 1/T, or under a causal mask, where query t spreads over t + 1 keys, the mean of
    1/(t + 1) over the second half, about 2 ln 2 / T = 1.39/T.

    Args:
        weights: Attention weights of one layer, `(B, H, T, T)`.
        ids: The ids that the model read, `(B, T)`; random ones (`repeated_ids`), so that no
            grammar gives the next token away.

    Returns:
        `(H,)`, 0 to 1.

    Raises:
        TypeError: Weights that aren't floating point, ids that aren't integers.
        ValueError: Shapes that don't fit, or no token that occurs a second time.

    Source:
        Olsson et al., "In-context Learning and Induction Heads", 2022, arXiv:2209.11895, where it
        is called prefix matching. Ours adds up all earlier places of the token, so that a perfect
        head has 1 however often the text repeats.

    Examples:
        >>> ids = torch.tensor([[3, 8, 3, 8]])
        >>> looks_back = torch.zeros(1, 1, 4, 4)
        >>> looks_back[0, 0, [2, 3], [1, 2]] = 1.0
        >>> induction_score(looks_back, ids)
        tensor([1.])
    """
    _checks.rank("weights", _checks.floating("weights", weights), "B H T T")
    _checks.rank("ids", _checks.integral("ids", ids), "B T")
    batch, _, length, keys = weights.shape
    if length != keys or tuple(ids.shape) != (batch, length):
        raise ValueError(
            f"weights: expected (B, H, T, T) with ids (B, T) = {_checks.shape(ids)}; "
            f"got {_checks.shape(weights)}"
        )
    if not bool(torch.isfinite(weights).all()):
        raise ValueError("weights: expected finite numbers; got NaN or infinity among them")
    ids = ids.to(weights.device)
    after = torch.zeros(batch, length, length, dtype=torch.bool, device=weights.device)
    after[:, :, 1:] = ids[:, :, None] == ids[:, None, :-1]
    # The key is the token after an earlier occurrence, at the latest the query itself.
    after &= torch.ones_like(after[0]).tril()
    repeated = after.any(-1)
    if not bool(repeated.any()):
        raise ValueError("ids: expected a token that occurs twice; all are different")
    on_it = (weights * after[:, None]).sum(-1)
    return on_it.movedim(1, -1)[repeated].mean(0)


def repeated_ids(
    vocab_size: int,
    period: int,
    *,
    repeats: int = 2,
    batch: int = 1,
    first_id: int = 0,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "B T"]:
    r"""Random ids, $\mathrm{id}_{t+P} = \mathrm{id}_t$, all different within a period $P$.

    Args:
        vocab_size: Ids are below this.
        period: Tokens before the text repeats.
        repeats: How often it stands there, at least twice.
        batch: How many texts.
        first_id: Ids below this (padding, start, end) aren't drawn.
        generator: Draws the ids; `None` for torch's own.

    Returns:
        `(B, T)` with B = `batch` and T = `period · repeats`.

    Raises:
        TypeError: A count that isn't an int, or a `generator` that isn't a generator.
        ValueError: A count below what it must be, or a period longer than there are ids.

    Examples:
        >>> ids = repeated_ids(50, 4, first_id=3)
        >>> bool((ids[:, :4] == ids[:, 4:]).all()), ids.shape
        (True, torch.Size([1, 8]))
    """
    _checks.integer("first_id", first_id, least=0)
    _checks.integer("period", period, least=1)
    _checks.integer("repeats", repeats, least=2)
    _checks.integer("batch", batch, least=1)
    if _checks.integer("vocab_size", vocab_size, least=1) - first_id < period:
        raise ValueError(
            f"period: expected at most vocab_size - first_id = {vocab_size - first_id}; "
            f"got {period}"
        )
    _checks.maybe_generator(generator, "torch.randperm", torch.empty(0))
    rows = [
        torch.randperm(vocab_size - first_id, generator=generator)[:period] for _ in range(batch)
    ]
    return first_id + torch.stack(rows).repeat(1, repeats)
