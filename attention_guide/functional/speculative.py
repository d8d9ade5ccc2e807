"""Speculative decoding: a small model drafts, the large one checks many tokens at once."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.functional.decoding import Step, _check_step

__all__ = ["Accepted", "speculative_accept", "speculative_decode"]


class Accepted(NamedTuple):
    """What a check kept of a draft.

    Attributes:
        tokens: The accepted beginning of each draft and one token of the target's, `(B, M)` with
            M = N + 1; places behind `length` are to be ignored.
        length: How many of the tokens count, `(B,)`: accepted ones plus one.

    Examples:
        >>> found = Accepted(torch.tensor([[4, 7, 0]]), torch.tensor([2]))
        >>> found.tokens[0, : found.length[0]]
        tensor([4, 7])
    """

    tokens: Int[Tensor, "B M"]
    length: Int[Tensor, " B"]


def speculative_accept(
    draft: Int[Tensor, "B N"],
    draft_probs: Float[Tensor, "B N V"],
    target_probs: Float[Tensor, "B M V"],
    *,
    generator: torch.Generator | None = None,
) -> Accepted:
    r"""Keep draft token $x$ with probability $\min(1, p(x)/q(x))$, replace the first refused.

    The replacement is drawn from $\mathrm{norm}(\max(0, p - q))$. Each token that is kept then
    has exactly the target's distribution $p$, whatever the draft's $q$.

    Args:
        draft: Drafted tokens, `(B, N)`, each drawn from its `draft_probs`.
        draft_probs: The draft's distributions $q$, `(B, N, V)`.
        target_probs: The target's distributions $p$ at the same places and one more,
            `(B, M, V)` with M = N + 1.
        generator: The source of randomness; torch's own when not given.

    Returns:
        `Accepted(tokens, length)`.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or device is wrong, a drafted token isn't among the `V`, or a row is
            no distribution: a NaN, infinite or negative chance, or nothing above 0.

    Source:
        Leviathan, Kalman and Matias (2023), arXiv:2211.17192, algorithm 1; also in Chen
        et al. (2023), arXiv:2302.01318.

    Examples:
        >>> p = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
        >>> speculative_accept(torch.tensor([[0]]), torch.tensor([[[1.0, 0.0]]]), p)
        Accepted(tokens=tensor([[1, 0]]), length=tensor([1]))
    """
    _check_draft(draft, draft_probs, target_probs)
    _checks.maybe_generator(generator, "target_probs", target_probs)
    batch, n = draft.shape
    chosen = draft.long()[..., None]
    p = target_probs[:, :n].gather(-1, chosen).squeeze(-1)
    q = draft_probs.gather(-1, chosen).squeeze(-1)
    luck = torch.rand(batch, n, generator=generator, dtype=p.dtype, device=p.device)
    kept: Bool[Tensor, "B N"] = luck * q < p
    # The draft counts only up to its first refusal.
    accepted = kept.long().cumprod(dim=1).sum(dim=1)
    at = accepted[:, None, None].expand(-1, 1, target_probs.shape[-1])
    # Behind a draft that was kept whole stands no guess: its q is 0, and p itself is drawn from.
    guesses = torch.cat([draft_probs, torch.zeros_like(target_probs[:, :1])], dim=1)
    left = (target_probs.gather(1, at) - guesses.gather(1, at)).squeeze(1).clamp(min=0)
    # Where rounding leaves nothing, p and q are equal and p is what remains.
    left = torch.where(left.sum(-1, keepdim=True) > 0, left, target_probs.gather(1, at).squeeze(1))
    fresh = torch.multinomial(left, 1, generator=generator).to(draft.dtype)
    tokens = torch.cat([draft, fresh.new_zeros(batch, 1)], dim=1)
    return Accepted(tokens.scatter(1, accepted[:, None], fresh), accepted + 1)


@torch.no_grad()
def speculative_decode(
    target: Callable[[Tensor], Tensor],
    draft: Step,
    prefix: Int[Tensor, "B T"],
    max_new: int,
    *,
    lookahead: int = 4,
    warp: Callable[[Tensor], Tensor] | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "1 U"]:
    """Sample from the target model, several tokens for each of its calls.

    Args:
        target: From tokens `(1, T)` to the logits at *all* places `(1, T, V)`.
        draft: A cheaper step, from tokens `(1, T)` to the logits of the next `(1, V)`.
        prefix: What the sequence starts with, `(B, T)` with B = 1: one sequence, since each would
            be accepted to another length. It has a token at least.
        max_new: How many tokens at most.
        lookahead: How many tokens are drafted before each check.
        warp: A filter of logits, `temperature` or `top_p` say, applied to both models alike.
        eos_id: The token that ends the sequence.
        generator: The source of randomness; torch's own when not given.

    Returns:
        Prefix and continuation, `(1, U)` with `U ≤ T + max_new`, distributed as if the target
        alone had been sampled.

    Raises:
        TypeError: The prefix isn't integer, `eos_id` isn't an int, a function can't be called,
            or what it gives has a wrong dtype.
        ValueError: A shape, device or number is wrong.

    Cost:
        One call of the target for one to `lookahead + 1` tokens.

    Source:
        Leviathan, Kalman and Matias (2023), arXiv:2211.17192, algorithm 1.

    Examples:
        >>> next_one = lambda tokens: torch.nn.functional.one_hot(tokens + 1, 9) * 1e4
        >>> draft = lambda tokens: next_one(tokens)[:, -1]
        >>> speculative_decode(next_one, draft, torch.tensor([[1]]), 5)
        tensor([[1, 2, 3, 4, 5, 6]])
    """
    _checks.rank("prefix", _checks.integral("prefix", prefix), "B T")
    _checks.axis("prefix", prefix, 0, 1, "B T", "(one sequence)")
    if prefix.shape[1] < 1:
        raise ValueError(f"prefix: expected (B, T) with T at least 1; got {_checks.shape(prefix)}")
    _checks.integer("max_new", max_new, least=0)
    _checks.integer("lookahead", lookahead, least=1)
    _checks.token_ids(eos_id=eos_id)
    _checks.maybe_generator(generator, "prefix", prefix)
    _checks.functions(target=target, draft=draft)
    _checks.maybe_functions(warp=warp)
    tokens, end = prefix, prefix.shape[1] + max_new
    while tokens.shape[1] < end:
        # The check adds a token of its own, so no more is drafted than can be used.
        ahead = min(lookahead, end - tokens.shape[1] - 1)
        guess, rows = _draft(draft, tokens, ahead, warp, generator)
        logits = target(guess)
        _checks.rank("target(tokens)", _checks.floating("target(tokens)", logits), "B T V")
        _checks.axis("target(tokens)", logits, 0, 1, "B T V", "(one sequence)")
        _checks.axis("target(tokens)", logits, 1, guess.shape[1], "B T V", "as in the tokens")
        _checks.same_device("target(tokens)", logits, "the tokens", guess)
        probs = _probabilities(logits[0, tokens.shape[1] - 1 :], warp)[None]
        old = tokens.shape[1]
        # An empty stack has no width: with nothing drafted, q has no rows at all.
        guess_probs = torch.stack(rows, dim=1) if rows else probs[:, :0]
        found = speculative_accept(guess[:, old:], guess_probs, probs, generator=generator)
        new = found.tokens[:, : int(found.length[0])]
        if eos_id is not None and bool((new == eos_id).any()):
            stop = int((new[0] == eos_id).nonzero()[0]) + 1
            return torch.cat([tokens, new[:, :stop]], dim=1)
        tokens = torch.cat([tokens, new], dim=1)
    return tokens


def _draft(
    draft: Step,
    tokens: Tensor,
    ahead: int,
    warp: Callable[[Tensor], Tensor] | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, list[Tensor]]:
    rows = []
    for _ in range(ahead):
        probs = _probabilities(_check_step(draft(tokens), tokens), warp)
        _check_chances("draft(tokens)", probs)
        token = torch.multinomial(probs, 1, generator=generator).to(tokens.dtype)
        rows.append(probs)
        tokens = torch.cat([tokens, token], dim=1)
    return tokens, rows


def _probabilities(logits: Tensor, warp: Callable[[Tensor], Tensor] | None) -> Tensor:
    logits = logits.float()
    if warp is not None:
        warped = _checks.as_large("warp(logits)", warp(logits), "the logits", logits)
        _checks.like("warp(logits)", warped, "the logits", logits)
        logits = warped
    return logits.softmax(dim=-1)


def _check_draft(draft: Tensor, draft_probs: Tensor, target_probs: Tensor) -> None:
    _checks.rank("draft", _checks.integral("draft", draft), "B N")
    _checks.rank("draft_probs", _checks.floating("draft_probs", draft_probs), "B N V")
    _checks.rank("target_probs", _checks.floating("target_probs", target_probs), "B M V")
    batch, n = draft.shape
    vocab = target_probs.shape[2]
    if tuple(draft_probs.shape) != (batch, n, vocab):
        raise ValueError(
            f"draft_probs: expected (B, N, V) = {(batch, n, vocab)}; "
            f"got {_checks.shape(draft_probs)}"
        )
    if tuple(target_probs.shape[:2]) != (batch, n + 1):
        raise ValueError(
            f"target_probs: expected (B, N + 1, V) with B, N + 1 = {(batch, n + 1)}; "
            f"got {_checks.shape(target_probs)}"
        )
    _checks.same_device("draft", draft, "target_probs", target_probs)
    _checks.like("draft_probs", draft_probs, "target_probs", target_probs)
    _checks.below("draft", draft, vocab, "V")
    _check_chances("draft_probs", draft_probs)
    _check_chances("target_probs", target_probs)


def _check_chances(name: str, probs: Tensor) -> None:
    fits = (probs >= 0).all(dim=-1) & probs.isfinite().all(dim=-1) & (probs > 0).any(dim=-1)
    wanted = "finite probabilities of at least 0, one above 0 in each row"
    _checks.every(name, fits, probs, wanted)
