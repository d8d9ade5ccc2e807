"""Decoding: from logits to the next token, and from a step function to a text.

A *step* is any function from the tokens so far, `(B, T)`, to the logits of the next one,
`(B, V)`. A *choice* is any function from logits `(B, V)` to tokens `(B,)`. The filters in
between take logits and give logits, so they compose.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_guide.functional import _checks

__all__ = [
    "generate",
    "greedy",
    "min_p",
    "repetition_penalty",
    "sample",
    "temperature",
    "top_k",
    "top_p",
]

Step = Callable[[Tensor], Tensor]
Choice = Callable[[Tensor], Tensor]
DRAWABLE = 2**24  # as far as torch.multinomial goes
CHOOSABLE = "numbers or minus infinity, one number at least in each row"


def greedy(logits: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
    r"""The likeliest token, $\arg\max_v x_v$.

    Args:
        logits: Logits, `(B, V)`.

    Returns:
        Tokens, `(B,)`; the first of equals.

    Raises:
        TypeError: The logits aren't floating point.
        ValueError: The shape is wrong, or a row has a NaN, plus infinity or no number at all.

    Examples:
        >>> greedy(torch.tensor([[0.1, 2.0, 0.3]]))
        tensor([1])
    """
    _check_logits(logits)
    token = logits.argmax(dim=-1)
    # The largest is NaN where there is one.
    largest = logits.gather(-1, token[:, None]).squeeze(-1)
    _checks.every("logits", largest.isfinite(), logits, CHOOSABLE)
    return token


def sample(
    logits: Float[Tensor, "B V"], generator: torch.Generator | None = None
) -> Int[Tensor, " B"]:
    r"""A token drawn from $\mathrm{softmax}(x)$.

    Args:
        logits: Logits, `(B, V)`.
        generator: The source of randomness; torch's own when not given.

    Returns:
        Tokens, `(B,)`.

    Raises:
        TypeError: The logits aren't floating point, or `generator` isn't one.
        ValueError: The shape is wrong, a row has a NaN, plus infinity or no number at all, or
            the generator is another device's.

    Examples:
        >>> sample(torch.tensor([[0.0, float("-inf")]]))
        tensor([0])
    """
    _check_logits(logits)
    _checks.maybe_generator(generator, "logits", logits)
    if logits.shape[1] > DRAWABLE:
        raise ValueError(
            f"logits: expected (B, V) with V at most {DRAWABLE}; got {logits.shape[1]}"
        )
    # Half precision rounds the tail of a large vocabulary to nothing.
    chances = logits.float().softmax(dim=-1)
    # NaN comes of a NaN, of plus infinity, and of a row of nothing but minus infinity.
    _checks.every("logits", ~chances.isnan().any(dim=-1), logits, CHOOSABLE)
    return torch.multinomial(chances, 1, generator=generator).squeeze(-1)


def temperature(logits: Float[Tensor, "B V"], t: float) -> Float[Tensor, "B V"]:
    r"""Sharpen ($\tau < 1$) or flatten ($\tau > 1$) a distribution: $x / \tau$.

    Args:
        logits: Logits, `(B, V)`.
        t: The temperature $\tau$, above 0; for the limit 0 use `greedy`.

    Returns:
        Logits, `(B, V)`.

    Raises:
        TypeError: The logits aren't floating point.
        ValueError: The shape is wrong, or the temperature not above 0.

    Examples:
        >>> temperature(torch.tensor([[1.0, 2.0]]), 0.5)
        tensor([[2., 4.]])
    """
    _check_logits(logits)
    return logits / _checks.number("t", t, above=0)


def top_k(logits: Float[Tensor, "B V"], k: int) -> Float[Tensor, "B V"]:
    r"""Keep the `k` likeliest tokens.

    Args:
        logits: Logits, `(B, V)`.
        k: How many to keep, at least 1. Above `V` it keeps all.

    Returns:
        Logits, `(B, V)`, minus infinity where a token was dropped. Exactly `k` are kept, equals
        or not.

    Raises:
        TypeError: The logits aren't floating point.
        ValueError: The shape is wrong, or `k` below 1.

    Source:
        Fan, Lewis and Dauphin (2018), arXiv:1805.04833.

    Examples:
        >>> top_k(torch.tensor([[1.0, 3.0, 2.0]]), 2)
        tensor([[-inf, 3., 2.]])
    """
    _check_logits(logits)
    count = min(_checks.integer("k", k, least=1), logits.shape[-1])
    kept, place = logits.topk(count, dim=-1)
    return torch.full_like(logits, float("-inf")).scatter(-1, place, kept)


def top_p(logits: Float[Tensor, "B V"], p: float) -> Float[Tensor, "B V"]:
    r"""Keep the smallest set of likeliest tokens whose probabilities reach `p` (nucleus).

    Args:
        logits: Logits, `(B, V)`.
        p: The mass to keep, above 0 and at most 1.

    Returns:
        Logits, `(B, V)`, minus infinity where a token was dropped. The likeliest always stays.

    Raises:
        TypeError: The logits aren't floating point.
        ValueError: The shape is wrong, or `p` out of range.

    Source:
        Holtzman et al. (2020), arXiv:1904.09751, section 3.1.

    Examples:
        >>> top_p(torch.tensor([[0.5, 0.3, 0.2]]).log(), 0.6).exp()
        tensor([[0.5000, 0.3000, 0.0000]])
    """
    _check_logits(logits)
    _checks.number("p", p, above=0, most=1)
    ordered, place = logits.sort(dim=-1, descending=True, stable=True)
    chances = ordered.float().softmax(dim=-1)
    # A token stays when the mass before it hasn't reached p: that of the first is 0.
    before = chances.cumsum(dim=-1) - chances
    # All of them reach 1, whatever their sum is rounded to.
    dropped = (before >= p) & (p < 1)
    return torch.full_like(logits, float("-inf")).scatter(
        -1, place, ordered.masked_fill(dropped, float("-inf"))
    )


def min_p(logits: Float[Tensor, "B V"], p: float) -> Float[Tensor, "B V"]:
    r"""Keep the tokens with at least `p` times the probability of the likeliest.

    Args:
        logits: Logits, `(B, V)`.
        p: The share, above 0 and at most 1.

    Returns:
        Logits, `(B, V)`, minus infinity where a token was dropped.

    Raises:
        TypeError: The logits aren't floating point.
        ValueError: The shape is wrong, or `p` out of range.

    Source:
        Nguyen et al. (2024), arXiv:2407.01082.

    Examples:
        >>> min_p(torch.tensor([[0.6, 0.3, 0.1]]).log(), 0.4).exp()
        tensor([[0.6000, 0.3000, 0.0000]])
    """
    _check_logits(logits)
    _checks.number("p", p, above=0, most=1)
    chances = logits.float().softmax(dim=-1)
    best = chances.amax(dim=-1, keepdim=True)
    return logits.masked_fill(chances < p * best, float("-inf"))


def repetition_penalty(
    logits: Float[Tensor, "B V"], tokens: Int[Tensor, "B T"], penalty: float
) -> Float[Tensor, "B V"]:
    r"""Make what has been said less likely: $x / \theta$ where $x > 0$, else $x \theta$.

    Args:
        logits: Logits, `(B, V)`.
        tokens: What has been said, `(B, T)`.
        penalty: The paper's $\theta$, above 0; 1 changes nothing.

    Returns:
        Logits, `(B, V)`. A token that was said twice is penalised once.

    Raises:
        TypeError: The logits aren't floating point, or the tokens not integers.
        ValueError: A shape or device is wrong, a token isn't among the `V`, or the penalty is
            not above 0.

    Source:
        Keskar et al. (2019), arXiv:1909.05858, section 4.1. The paper divides negative logits,
        too, which makes them *more* likely; multiplying those is what implementations do.

    Examples:
        >>> repetition_penalty(torch.tensor([[2.0, -2.0, 2.0]]), torch.tensor([[0, 1]]), 2.0)
        tensor([[ 1., -4.,  2.]])
    """
    _check_logits(logits)
    _checks.rank("tokens", _checks.integral("tokens", tokens), "B T")
    _checks.axis("tokens", tokens, 0, logits.shape[0], "B T", "as in logits")
    _checks.same_device("tokens", tokens, "logits", logits)
    _checks.below("tokens", tokens, logits.shape[1], "V")
    _checks.number("penalty", penalty, above=0)
    said = logits.gather(-1, tokens.long())
    return logits.scatter(-1, tokens.long(), torch.where(said > 0, said / penalty, said * penalty))


@torch.no_grad()
def generate(
    step: Step,
    prefix: Int[Tensor, "B T"],
    max_new: int,
    *,
    choose: Choice = greedy,
    eos_id: int | None = None,
    pad_id: int | None = None,
) -> Int[Tensor, "B U"]:
    """Append one chosen token after another, until every sequence has ended.

    Args:
        step: From the tokens so far `(B, T)` to the logits of the next `(B, V)`.
        prefix: What each sequence starts with, `(B, T)`.
        max_new: How many tokens at most.
        choose: From logits to tokens, `greedy` or any composition that ends in `sample`.
        eos_id: The token that ends a sequence; without it all run to `max_new`.
        pad_id: What follows the end of a sequence; `eos_id` when not given.

    Returns:
        Prefix and continuation, `(B, U)` with `U ≤ T + max_new`, ends included.

    Raises:
        TypeError: The prefix isn't integer, an id isn't an int, `step` or `choose` can't be
            called, or what it gives has a wrong dtype.
        ValueError: An id is negative or, from `choose`, not among the `V`; `pad_id` without
            `eos_id`; or a shape or device is wrong, of the prefix or of what `step` or `choose`
            gives.

    Examples:
        >>> count_up = lambda tokens: torch.nn.functional.one_hot(tokens[:, -1] + 1, 6).float()
        >>> generate(count_up, torch.tensor([[1], [3]]), 9, eos_id=4, pad_id=0)
        tensor([[1, 2, 3, 4],
                [3, 4, 0, 0]])
    """
    _checks.rank("prefix", _checks.integral("prefix", prefix), "B T")
    _checks.integer("max_new", max_new, least=0)
    _check_marks(eos_id, pad_id)
    _checks.functions(step=step, choose=choose)
    tokens = prefix
    ended = torch.zeros(prefix.shape[0], dtype=torch.bool, device=prefix.device)
    for _ in range(max_new):
        logits = _check_step(step(tokens), tokens)
        token = _chosen(choose, logits).to(tokens.dtype)
        if eos_id is not None:
            token = token.masked_fill(ended, eos_id if pad_id is None else pad_id)
            ended = ended | (token == eos_id)
        tokens = torch.cat([tokens, token[:, None]], dim=1)
        if eos_id is not None and bool(ended.all()):
            break
    return tokens


def _check_marks(eos_id: int | None, pad_id: int | None) -> None:
    _checks.token_ids(eos_id=eos_id, pad_id=pad_id)
    if pad_id is not None and eos_id is None:
        raise ValueError(f"pad_id: expected None without eos_id, as no row ends; got {pad_id}")


def _chosen(choose: Choice, logits: Tensor) -> Tensor:
    token = _checks.chosen(choose(logits), logits)
    _checks.below("choose(logits)", token, logits.shape[1], "V")
    return token


def _check_logits(logits: Tensor) -> None:
    _checks.rank("logits", _checks.floating("logits", logits), "B V")
    if logits.shape[1] < 1:
        raise ValueError(f"logits: expected (B, V) with V at least 1; got {_checks.shape(logits)}")


def _check_step(logits: Tensor, tokens: Tensor) -> Tensor:
    _checks.rank("step(tokens)", _checks.floating("step(tokens)", logits), "B V")
    _checks.axis("step(tokens)", logits, 0, tokens.shape[0], "B V", "as in the tokens")
    _checks.same_device("step(tokens)", logits, "the tokens", tokens)
    if logits.shape[1] - 1 > torch.iinfo(tokens.dtype).max:
        wanted = f"a dtype that holds ids below V = {logits.shape[1]}"
        raise ValueError(f"prefix: expected {wanted}; got {tokens.dtype}")
    return logits
