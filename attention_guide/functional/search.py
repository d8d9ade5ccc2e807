"""Beam search: the likeliest sequence rather than the likeliest next token."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.functional.decoding import CHOOSABLE, Step, _check_step

__all__ = ["Beams", "beam_search", "length_penalty"]


class Beams(NamedTuple):
    """What beam search found, best first.

    Attributes:
        tokens: Sequences with their prefix, `(B, W, U)`, padded behind their end.
        scores: Log-probability over length penalty, `(B, W)`; minus infinity for a place that
            no sequence took (fewer tokens than beams).
        lengths: Length of each sequence, prefix and end included, `(B, W)`.

    Examples:
        >>> step = lambda tokens: torch.eye(4)[(tokens[:, -1] + 1) % 4] * 1e4
        >>> found = beam_search(step, torch.tensor([[1]]), 5, width=2, eos_id=3)
        >>> found.tokens[0, 0], found.lengths[0, 0]
        (tensor([1, 2, 3]), tensor(3))
    """

    tokens: Int[Tensor, "B W U"]
    scores: Float[Tensor, "B W"]
    lengths: Int[Tensor, "B W"]


def length_penalty(length: int, alpha: float) -> float:
    r"""What a log-probability is divided by, $((5 + n) / 6)^\alpha$.

    Args:
        length: Number of generated tokens $n$, the end included.
        alpha: 0 for none; the paper's best were 0.6 to 0.7.

    Returns:
        The divisor, 1 for one token.

    Raises:
        TypeError: An argument isn't a number.
        ValueError: The length is negative, or the divisor greater than a float can be.

    Source:
        Wu et al. (2016), arXiv:1609.08144: its `lp`, without its coverage penalty.

    Examples:
        >>> length_penalty(7, 1.0)
        2.0
    """
    _checks.integer("length", length, least=0)
    power = _checks.number("alpha", alpha)
    try:
        return float(((5 + length) / 6) ** power)
    except OverflowError:
        wanted = f"a power of (5 + {length}) / 6 that a float can hold"
        raise ValueError(f"alpha: expected {wanted}; got {alpha}") from None


@torch.no_grad()
def beam_search(
    step: Step,
    prefix: Int[Tensor, "B T"],
    max_new: int,
    width: int,
    *,
    eos_id: int,
    pad_id: int | None = None,
    alpha: float = 0.0,
) -> Beams:
    r"""Keep the `width` likeliest beginnings at every step; $\log p(y) / \text{penalty}(|y|)$.

    A sequence that has ended is set aside with its score and frees its place. A sequence's
    search is over when no open beginning can overtake the ends that were kept.

    Args:
        step: From the tokens so far `(N, T)` to the logits of the next `(N, V)`; it is called
            with `N = B·width` rows.
        prefix: What each sequence starts with, `(B, T)`.
        max_new: How many tokens at most, at least 1.
        width: Number of beams `W`; 1 is greedy search.
        eos_id: The token that ends a sequence.
        pad_id: What follows the end of a sequence; `eos_id` when not given.
        alpha: Exponent of the length penalty, at least 0.

    Returns:
        `Beams(tokens, scores, lengths)`, best first. A sequence without an end after `max_new`
        tokens takes part with the score that it has then.

    Raises:
        TypeError: The prefix isn't integer, an id isn't an int, or `step` can't be called.
        ValueError: A shape, device or number is wrong, or a row of what `step` gives has a NaN,
            plus infinity or no number at all.

    Cost:
        `max_new` calls of `step` at most, on `B·W` rows each.

    Source:
        Sutskever, Vinyals and Le (2014), arXiv:1409.3215, section 3.2; the penalty as in
        `length_penalty`.

    Examples:
        >>> chances = torch.tensor([[0.0, 0.6, 0.4, 0.0], [0.5, 0.0, 0.0, 0.5],
        ...                         [1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
        >>> step = lambda tokens: chances[tokens[:, -1] % 4].log()
        >>> found = beam_search(step, torch.tensor([[4]]), 2, width=2, eos_id=0)
        >>> found.tokens[0, 0], found.scores[0, 0].exp()  # greedy begins with 1 and gets 0.3
        (tensor([4, 2, 0]), tensor(0.4000))
    """
    _check_search(prefix, max_new, width, alpha)
    _checks.integer("eos_id", eos_id, least=0)
    _checks.token_ids(pad_id=pad_id)
    _checks.functions(step=step)
    batch, start = prefix.shape
    fill = eos_id if pad_id is None else pad_id
    tokens = prefix[:, None].expand(batch, width, start)
    # All beams start alike, so only the first may be extended: else each would find the same.
    scores = torch.full((batch, width), float("-inf"), device=prefix.device)
    lengths = torch.full((batch, width), start, device=prefix.device)
    kept = Beams(_lengthen(tokens, start + max_new), scores.clone(), lengths)
    scores[:, 0] = 0.0
    for n in range(1, max_new + 1):
        flat = tokens.reshape(batch * width, tokens.shape[2])
        logits = _check_step(step(flat), flat)
        _check_eos(eos_id, logits)
        chances = logits.float().log_softmax(dim=-1)
        _checks.every("step(tokens)", ~chances.isnan().any(dim=-1), logits, CHOOSABLE)
        total = scores[:, :, None] + chances.view(batch, width, logits.shape[1])
        ended = total[:, :, eos_id].clone()
        kept = _keep(kept, _append(tokens, eos_id), ended / length_penalty(n, alpha))
        total[:, :, eos_id] = float("-inf")
        tokens, scores = _extend(tokens, total)
        if _decided(kept.scores, scores, max_new, alpha):
            break
    else:
        kept = _keep(kept, tokens, scores / length_penalty(max_new, alpha))
    longest = int(kept.lengths.max()) if batch else start
    place = torch.arange(longest, device=prefix.device)
    found = kept.tokens[:, :, : len(place)]
    return kept._replace(tokens=found.masked_fill(place >= kept.lengths[:, :, None], fill))


def _append(tokens: Tensor, token: int) -> Tensor:
    return torch.cat([tokens, torch.full_like(tokens[:, :, :1], token)], dim=2)


def _lengthen(tokens: Tensor, length: int) -> Tensor:
    return torch.nn.functional.pad(tokens, (0, length - tokens.shape[2]))


def _extend(tokens: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    width, vocab = total.shape[1:]
    scores, place = total.flatten(1).topk(width, dim=1)
    parents = tokens.gather(1, (place // vocab)[:, :, None].expand_as(tokens))
    return torch.cat([parents, (place % vocab)[:, :, None].to(tokens.dtype)], dim=2), scores


def _keep(kept: Beams, tokens: Tensor, scores: Tensor) -> Beams:
    width, longest = kept.tokens.shape[1:]
    lengths = torch.full_like(kept.lengths, tokens.shape[2])
    all_tokens = torch.cat([kept.tokens, _lengthen(tokens, longest)], dim=1)
    all_scores = torch.cat([kept.scores, scores], dim=1)
    # Stable, so that of two equals the one that ended first stays first.
    order = all_scores.sort(dim=1, descending=True, stable=True).indices[:, :width]
    return Beams(
        all_tokens.gather(1, order[:, :, None].expand_as(kept.tokens)),
        all_scores.gather(1, order),
        torch.cat([kept.lengths, lengths], dim=1).gather(1, order),
    )


def _decided(kept: Tensor, scores: Tensor, max_new: int, alpha: float) -> bool:
    # Log-probabilities only fall; the most that a length can still give is the longest penalty.
    hope = scores.amax(dim=1) / length_penalty(max_new, alpha)
    return bool((kept[:, -1] >= hope).all())


def _check_eos(eos_id: int, logits: Tensor) -> None:
    if eos_id >= logits.shape[1]:
        raise ValueError(f"eos_id: expected a token below V = {logits.shape[1]}; got {eos_id}")


def _check_search(prefix: Tensor, max_new: int, width: int, alpha: float) -> None:
    _checks.rank("prefix", _checks.integral("prefix", prefix), "B T")
    _checks.integer("max_new", max_new, least=1)
    _checks.integer("width", width, least=1)
    _checks.number("alpha", alpha, least=0)
