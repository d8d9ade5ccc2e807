"""Published attention bugs, rewritten as small specimens, each with the property that exposes it.

Every specimen has a `broken` and a `mended` form; `check` fails the first by name and passes the
second. The code is ours; the bug is as its source describes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from attention_guide.conformance.adapter import Adapter
from attention_guide.functional import attention, causal_mask


@dataclass(frozen=True)
class Specimen:
    """One published bug.

    Args:
        name: A short name.
        source: Repository and number of the issue or pull request that describes it.
        story: What was wrong, in a sentence.
        exposed_by: The property of `check` that fails.
        broken: The wrong form.
        mended: The right form.

    Examples:
        >>> from attention_guide.conformance import check
        >>> lost = next(s for s in SPECIMENS if s.name == "the lost causal mask")
        >>> lost.story
        'Takes `causal` and uses it nowhere.'
        >>> [o.name for o in check(lost.broken, only=[lost.exposed_by]).failures]
        ['causality']
        >>> check(lost.mended).passed
        True
    """

    name: str
    source: str
    story: str
    exposed_by: str
    broken: Adapter
    mended: Adapter


State = tuple[Tensor, Tensor]


def _scores(q: Tensor, k: Tensor) -> Tensor:
    scores: Tensor = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    return scores


def _append(k: Tensor, v: Tensor, state: State | None) -> State:
    return (k, v) if state is None else (torch.cat([state[0], k], -2), torch.cat([state[1], v], -2))


def _right(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    return attention(q, k, v, mask=mask, kernel="reference")


def _right_causal(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    return attention(q, k, v, causal=causal, kernel="reference")


def upper_triangle(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Masks the future in `nn.MultiheadAttention`'s polarity, but SDPA's True means *attend*."""
    future = torch.triu(torch.ones(q.shape[-2], k.shape[-2]), diagonal=1).bool()
    return sdpa(q, k, v, attn_mask=future if causal else None)


def forgotten_mask(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Takes `causal` and uses it nowhere."""
    return sdpa(q, k, v)


def unused_fill(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Calls `masked_fill`, which returns a new tensor, and throws the result away."""
    scores = _scores(q, k)
    if causal:
        scores.masked_fill(~causal_mask(q.shape[-2], k.shape[-2]), float("-inf"))
    return torch.softmax(scores, -1) @ v


def top_left(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Aligns the causal triangle to the first key, so that a new query sees the oldest keys."""
    return sdpa(q, k, v, is_causal=causal)


def large_negative(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Fills with -1e6: where every key is masked, all scores are equal and the row is uniform."""
    scores = _scores(q, k)
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e6)
    return torch.softmax(scores, -1) @ v


def infinite_fill(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Fills with -inf: where every key is masked, softmax divides zero by zero."""
    scores = _scores(q, k)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, -1) @ v


def dropped_row(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Drops the empty row's NaN from the output; the values' gradient is still 0 times NaN."""
    return infinite_fill(q, k, v, mask=mask).nan_to_num()


def zeroed_scores(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Multiplies masked scores by 0, which softmax takes for an ordinary score."""
    scores = _scores(q, k)
    return torch.softmax(scores if mask is None else scores * mask, -1) @ v


def padded_queries(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Broadcasts the padding mask down the queries: padded keys stay visible."""
    if mask is not None and mask.shape[-2] == 1:
        mask = mask.transpose(-2, -1)
    return attention(q, k, v, mask=mask)


def causal_memory(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Multiplies the padding mask of the *encoder* by a causal one: a query misses later words."""
    if mask is not None and mask.shape[-2] == 1:
        mask = mask & causal_mask(q.shape[-2], k.shape[-2])
    return attention(q, k, v, mask=mask)


def ignored_padding(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Leaves padding to the loss: attention takes the mask and ignores it."""
    if mask is not None and mask.shape[-2] == 1:
        mask = None
    return attention(q, k, v, mask=mask)


def inverted(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Reads True as *may not attend*."""
    return attention(q, k, v, mask=None if mask is None else ~mask)


def model_width(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Divides by the square root of the model width, heads times head width."""
    return attention(q, k, v, mask=mask, scale=(q.shape[1] * q.shape[-1]) ** -0.5)


def scaled_weights(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scales the weights after the softmax in place of the scores before it."""
    out: Tensor = attention(q, k, v, mask=mask, scale=1.0) / q.shape[-1] ** 0.5
    return out


def batch_as_sequence(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Reads (batch, sequence) as (sequence, batch): sequences attend to one another."""
    if mask is not None:
        return attention(q, k, v, mask=mask)
    swapped = attention(q.transpose(0, 2), k.transpose(0, 2), v.transpose(0, 2))
    return swapped.transpose(0, 2)


WINDOW = (2, 0)


def _windowed(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    return attention(q, k, v, causal=causal, window=WINDOW if causal else None)


def cut_too_early(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Cuts the keys to one window for several queries at once: the earlier ones lose theirs."""
    if causal:
        size = WINDOW[0] + 1
        k, v = k[..., -size:, :], v[..., -size:, :]
    return _windowed(q, k, v, causal=causal)


def windowless_step(
    q: Tensor, k: Tensor, v: Tensor, state: State | None
) -> tuple[Tensor, State]:  # fmt: skip
    """Decodes one token against the whole cache, though the layer has a sliding window."""
    k, v = _append(k, v, state)
    return attention(q, k, v), (k, v)


def _window_step(q: Tensor, k: Tensor, v: Tensor, state: State | None) -> tuple[Tensor, State]:
    k, v = _append(k, v, state)
    return attention(q, k, v, causal=True, window=WINDOW), (k, v)


def _plain_step(q: Tensor, k: Tensor, v: Tensor, state: State | None) -> tuple[Tensor, State]:
    k, v = _append(k, v, state)
    return attention(q, k, v, causal=True), (k, v)


def stale_pointer() -> Callable[..., tuple[Tensor, State]]:
    """A cache that keeps its write position when a new sequence begins."""
    kept: list[State] = []

    def step(q: Tensor, k: Tensor, v: Tensor, state: State | None) -> tuple[Tensor, State]:
        joined = _append(k, v, kept[-1] if kept else None)
        kept.append(joined)
        return attention(q, *joined, causal=True), joined

    return step


def _masked(broken: Callable[..., Tensor]) -> tuple[Adapter, Adapter]:
    return Adapter(broken), Adapter(_right)


def _causal(
    broken: Callable[..., Tensor],
    mended: Callable[..., Tensor] = _right_causal,
    window: tuple[int, int] | None = None,
) -> tuple[Adapter, Adapter]:
    return tuple(  # type: ignore[return-value]
        Adapter(f, masked=False, causal=True, window=window) for f in (broken, mended)
    )


def _stepped(
    broken: Callable[..., tuple[Tensor, State]],
    mended: Callable[..., tuple[Tensor, State]],
    fn: Callable[..., Tensor],
    window: tuple[int, int] | None = None,
) -> tuple[Adapter, Adapter]:
    return tuple(  # type: ignore[return-value]
        Adapter(fn, masked=False, causal=True, step=s, window=window) for s in (broken, mended)
    )


_LABELS: list[tuple[str, str, Callable[..., object], str, tuple[Adapter, Adapter]]] = [
    ("upper triangle handed to SDPA", "rasbt/LLMs-from-scratch#1061", upper_triangle,
     "causality", _causal(upper_triangle)),
    ("the lost causal mask", "pytorch/tutorials#2478", forgotten_mask,
     "causality", _causal(forgotten_mask)),
    ("masked_fill without its result", "QwenLM/Qwen#933", unused_fill,
     "causality", _causal(unused_fill)),
    ("causal from the top left", "pytorch/pytorch#108108", top_left,
     "causal alignment", _causal(top_left)),
    ("uniform where nothing is allowed", "d2l-ai/d2l-en#2423", large_negative,
     "rows that may attend nowhere", _masked(large_negative)),
    ("NaN where nothing is allowed", "pytorch/pytorch#27968", infinite_fill,
     "rows that may attend nowhere", _masked(infinite_fill)),
    ("NaN in the gradient alone", "pytorch/pytorch#41508", dropped_row,
     "rows that may attend nowhere", _masked(dropped_row)),
    ("zero is a score", "georg-wolflein/good-features#1", zeroed_scores,
     "padding invariance", _masked(zeroed_scores)),
    ("padding on the queries", "bentrevett/pytorch-seq2seq#96", padded_queries,
     "padding invariance", _masked(padded_queries)),
    ("a causal mask on the encoder's words", "keras-team/keras-io#1046", causal_memory,
     "padding invariance", _masked(causal_memory)),
    ("padding left to the loss", "datawhalechina/happy-llm#170", ignored_padding,
     "padding invariance", _masked(ignored_padding)),
    ("inverted polarity", "tensorflow/text#894", inverted,
     "mask polarity", _masked(inverted)),
    ("scaled by the model width", "Graylab/DL4Proteins-notebooks#12", model_width,
     "scale by head width", _masked(model_width)),
    ("scaled after the softmax", "FrancescoSaverioZuppichini/ViT#2", scaled_weights,
     "rows sum to one", _masked(scaled_weights)),
    ("batch read as sequence", "DaoyuanLi2816/Molecule-Generator#22", batch_as_sequence,
     "batch independence", _masked(batch_as_sequence)),
    ("decoding without the window", "karpathy/nanochat#452", windowless_step,
     "cache = no cache", _stepped(windowless_step, _window_step, _windowed, WINDOW)),
    ("a window cut too early", "rasbt/LLMs-from-scratch#1008", cut_too_early,
     "parity with the reference", _causal(cut_too_early, _windowed, WINDOW)),
    ("a pointer that is not reset", "rasbt/LLMs-from-scratch#925", stale_pointer,
     "cache = no cache", _stepped(stale_pointer(), _plain_step, _right_causal)),
]  # fmt: skip

SPECIMENS: tuple[Specimen, ...] = tuple(
    Specimen(name, source, str(story.__doc__).strip(), exposed_by, *adapters)
    for name, source, story, exposed_by, adapters in _LABELS
)
"""Every published bug of the museum, each with the property that exposes it."""
