"""Writing tokens with any model that decodes: one at a time, batched, with or without a cache.

A model takes part by one method, `decoding` of the protocol `Decodes`. It begins one batch and
returns a function from tokens to the logits of the next: a closure that keeps whatever must be
kept, such as a cache or the encoder's output.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from attention_guide.functional import _checks, sample
from attention_guide.functional import min_p as keep_min_p
from attention_guide.functional import temperature as divide_by_temperature
from attention_guide.functional import top_k as keep_top_k
from attention_guide.functional import top_p as keep_top_p
from attention_guide.functional.decoding import Choice, _check_marks, _chosen, greedy
from attention_guide.layers._check import check_ids, check_token_ids

# (tokens (B, T), padding (B, S) or None) -> logits of the next token, (B, V).
NextLogits: TypeAlias = Callable[[Tensor, Tensor | None], Tensor]


@runtime_checkable
class Decodes(Protocol):
    """What `generate` and `stream` ask of a model: decoder-only or encoder–decoder alike.

    Examples:
        >>> class CountsUp:
        ...     def decoding(self, source=None, *, room, cached=True):
        ...         return lambda tokens, padding: torch.nn.functional.one_hot(
        ...             (tokens[:, -1] + 1) % 10, 10
        ...         ).float()
        >>> generate(CountsUp(), torch.tensor([[3]]), 4)
        tensor([[4, 5, 6, 7]])
    """

    def decoding(self, source: Any = None, *, room: int, cached: bool = True) -> NextLogits:
        """Begin to decode one batch.

        Args:
            source: What the decoder attends to besides its own tokens, as the model takes it:
                source ids, `(ids, padding)`, a spectrogram, pictures. The model encodes it here,
                once. `None` for a decoder-only model.
            room: Most tokens that will ever be fed, prompt included: the size of a cache. The
                last token written is never fed.
            cached: Whether to keep keys and values.

        Returns:
            A function `(tokens, padding) -> logits (B, V)` of the token after the last. The first
            call hands it the whole prompt, `(B, T)`. Later calls hand it, with a cache, the one
            token that it hasn't seen, `(B, 1)`; without, all tokens so far. `padding`, bool
            `(B, S)`, `True` for a token and `False` for padding on the left, always covers all S
            tokens so far; it is `None` where there is none.
        """


def generate(
    model: Decodes,
    prompt: Int[Tensor, "B T"],
    max_new: int,
    *,
    source: Any = None,
    padding: Bool[Tensor, "B T"] | None = None,
    cached: bool = True,
    choose: Choice = greedy,
    eos_id: int | None = None,
    pad_id: int | None = None,
) -> Int[Tensor, "B U"]:
    """Write tokens after a prompt, each chosen after those before it, until all rows have ended.

    Dropout follows the model's mode: call `eval()` first.

    Args:
        model: Anything with `decoding`: a language model, or an encoder–decoder with its `source`.
        prompt: What each row starts with, `(B, T)`, T at least 1; for an encoder–decoder its start
            symbols.
        max_new: Most tokens to write.
        source: For an encoder–decoder: what it reads, as its `decoding` takes it.
        padding: `True` where the prompt is a token and `False` where it is filled up, on the
            left; `None` for no padding. `left_pad` makes both.
        cached: Keep keys and values instead of computing them anew at every step. The same
            result, sooner.
        choose: Picks ids `(B,)` from logits `(B, V)`: `greedy`, or what `sampler` makes.
        eos_id: The token that ends a row; without it all run to `max_new`.
        pad_id: What follows a row's end; `eos_id` when not given.

    Returns:
        The tokens written, `(B, U)` with U ≤ `max_new`, ends included, the prompt not.

    Raises:
        TypeError: The ids aren't integers, those of `choose` neither, the padding isn't bool, or
            a number isn't an int.
        ValueError: A shape that doesn't fit, that of what `choose` gives too, an id outside the
            vocabulary, `pad_id` without `eos_id`, padding on the right, or more than the model
            reads: all but the last token written.

    Cost:
        With a cache, a step costs one token's projections and attention to the S tokens before;
        without, the whole text again.

    Examples:
        >>> from attention_guide.models import GPT2, GPT2Config
        >>> model = GPT2(GPT2Config(11, d_model=8, n_heads=2, n_layers=1)).eval()
        >>> prompt, padding = left_pad([[5, 6, 7], [8]])
        >>> generate(model, prompt, 4, padding=padding).shape
        torch.Size([2, 4])
    """
    steps = list(
        stream(
            model, prompt, max_new, source=source, padding=padding, cached=cached,
            choose=choose, eos_id=eos_id, pad_id=pad_id,
        )
    )  # fmt: skip
    return torch.stack(steps, dim=1) if steps else prompt[:, :0]


def stream(
    model: Decodes,
    prompt: Int[Tensor, "B T"],
    max_new: int,
    *,
    source: Any = None,
    padding: Bool[Tensor, "B T"] | None = None,
    cached: bool = True,
    choose: Choice = greedy,
    eos_id: int | None = None,
    pad_id: int | None = None,
) -> Iterator[Int[Tensor, " B"]]:
    """As `generate`, but hand out each column of tokens as soon as it is chosen.

    Args:
        model: As in `generate`.
        prompt: As in `generate`, `(B, T)`.
        max_new: As in `generate`.
        source: As in `generate`.
        padding: As in `generate`, `(B, T)`.
        cached: As in `generate`.
        choose: As in `generate`.
        eos_id: As in `generate`.
        pad_id: As in `generate`.

    Yields:
        Tokens `(B,)`, at most `max_new` times.

    Raises:
        TypeError: As in `generate`, before the first token.
        ValueError: As in `generate`, before the first token.

    Examples:
        >>> from attention_guide.models import GPT2, GPT2Config
        >>> model = GPT2(GPT2Config(11, d_model=8, n_heads=2, n_layers=1)).eval()
        >>> for token in stream(model, torch.tensor([[5, 6]]), 3):
        ...     print(tuple(token.shape))
        (1,)
        (1,)
        (1,)
    """
    _check_prompt(prompt, padding)
    _checks.integer("max_new", max_new, least=0)
    _check_marks(eos_id, pad_id)
    _checks.functions(choose=choose)
    if padding is not None and bool(padding.all()):
        padding = None
    with torch.no_grad():
        room = prompt.shape[1] + max(0, max_new - 1)  # the last token written is never fed
        next_logits = model.decoding(source, room=room, cached=cached)
    return _steps(next_logits, prompt, max_new, padding, cached, choose, eos_id, pad_id)


def sampler(
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Choice:
    """A choice that samples: temperature, then top-k, then top-p, then min-p, then a draw.

    Args:
        temperature: Divides the logits; for the limit 0 use `greedy`.
        top_k: Keep this many of the likeliest tokens; `None` for all.
        top_p: Keep the likeliest tokens up to this mass; `None` for all.
        min_p: Keep tokens with this share of the likeliest one's probability; `None` for all.
        generator: The source of randomness; torch's own when not given.

    Returns:
        A function from logits `(B, V)` to tokens `(B,)`, for `generate(choose=...)`.

    Raises:
        TypeError: An argument isn't a number, or the generator isn't one.
        ValueError: A number is out of range. (The generator is looked at in the first draw.)

    Source:
        The filters are those of `attention_guide.functional.decoding`, which names the papers.

    Examples:
        >>> choose = sampler(temperature=0.7, top_k=1)
        >>> choose(torch.tensor([[0.0, 3.0, 1.0]]))
        tensor([1])
    """
    _checks.number("temperature", temperature, above=0)
    if top_k is not None:
        _checks.integer("top_k", top_k, least=1)
    for name, p in (("top_p", top_p), ("min_p", min_p)):
        if p is not None:
            _checks.number(name, p, above=0, most=1)

    def choose(logits: Tensor) -> Tensor:
        logits = divide_by_temperature(logits, temperature)
        logits = logits if top_k is None else keep_top_k(logits, top_k)
        logits = logits if top_p is None else keep_top_p(logits, top_p)
        logits = logits if min_p is None else keep_min_p(logits, min_p)
        return sample(logits, generator)

    return choose


def left_pad(
    sequences: Sequence[Sequence[int]], pad_id: int = 0
) -> tuple[Int[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """One batch of sequences of any lengths, filled up on the left so that all end together.

    Args:
        sequences: Ids of each row, at least one.
        pad_id: What fills up.

    Returns:
        Ids `(B, T)` and what is a token in them, bool `(B, T)`.

    Raises:
        ValueError: There is no sequence, or one is empty.

    Examples:
        >>> left_pad([[5, 6, 7], [8]])
        (tensor([[5, 6, 7],
                [0, 0, 8]]), tensor([[ True,  True,  True],
                [False, False,  True]]))
    """
    if not sequences or not all(len(row) for row in sequences):
        raise ValueError("sequences: expected at least one, and none of them empty")
    width = max(len(row) for row in sequences)
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in sequences])
    lengths = torch.tensor([len(row) for row in sequences])
    return ids, torch.arange(width) >= width - lengths[:, None]


def _steps(
    next_logits: NextLogits,
    prompt: Tensor,
    max_new: int,
    padding: Tensor | None,
    cached: bool,
    choose: Choice,
    eos_id: int | None,
    pad_id: int | None,
) -> Iterator[Tensor]:
    tokens, fed = prompt, prompt
    ended = torch.zeros(prompt.shape[0], dtype=torch.bool, device=prompt.device)
    for _ in range(max_new):
        with torch.no_grad():  # not around the function: wrapped, it wouldn't be a generator
            logits = next_logits(fed, padding)
            if fed is prompt:
                check_token_ids(logits.shape[1], eos_id=eos_id, pad_id=pad_id)
            token = _chosen(choose, logits).to(prompt.dtype)
        if eos_id is not None:
            token = token.masked_fill(ended, eos_id if pad_id is None else pad_id)
            ended = ended | (token == eos_id)
        yield token
        if eos_id is not None and bool(ended.all()):
            return
        if padding is not None:
            padding = torch.cat([padding, padding.new_ones(padding.shape[0], 1)], dim=1)
        if not cached:
            tokens = torch.cat([tokens, token[:, None]], dim=1)
        fed = token[:, None] if cached else tokens


def _check_prompt(prompt: Tensor, padding: Tensor | None) -> None:
    check_ids("prompt", prompt)
    if prompt.shape[1] < 1:
        raise ValueError(f"prompt: expected (B, T) with T at least 1; got {tuple(prompt.shape)}")
    if padding is None:
        return
    _checks.boolean("padding", padding)
    _checks.same_device("padding", padding, "prompt", prompt)
    if padding.shape != prompt.shape:
        raise ValueError(
            f"padding: expected {tuple(prompt.shape)} as prompt; got {tuple(padding.shape)}"
        )
    if not bool(padding[:, -1].all()) or bool((padding[:, :-1] & ~padding[:, 1:]).any()):
        raise ValueError("padding: expected it on the left of each row, and a token at its end")
