"""The rotary positions of whole models: plain, or stretched by YaRN."""

from dataclasses import dataclass
from typing import Literal

from attention_guide.functional import (
    Pairing,
    rope_frequencies,
    yarn_attention_factor,
    yarn_frequencies,
)
from attention_guide.layers import RotaryPositions


@dataclass(frozen=True)
class Yarn:
    """How YaRN stretches rotary positions to texts longer than trained.

    Attributes:
        factor: How many times longer the text is.
        original_len: The trained length.
        fast: Rotations over the trained length from which a pair keeps its frequency.
        slow: Rotations up to which a pair is interpolated.
        attention_factor: Multiplies queries and keys; `None` for `yarn_attention_factor`.
        ramp: `"index"` as in the authors' code, or `"rotations"` as in the paper: see
            `yarn_frequencies`.

    Source:
        Peng et al. (2023), arXiv:2309.00071, section 3. What Llama 3.1 calls its scaling is the
        paper's ramp from 1 to 4 rotations without an attention factor: the published code, and
        `llama3` in the configurations of its files.

    Examples:
        >>> Yarn(4.0, 4096).fast
        32.0
        >>> llama_3 = Yarn(8.0, 8192, fast=4.0, attention_factor=1.0, ramp="rotations")
    """

    factor: float
    original_len: int
    fast: float = 32.0
    slow: float = 1.0
    attention_factor: float | None = None
    ramp: Literal["rotations", "index"] = "index"


def rotary_positions(
    width: int, base: float, max_len: int, yarn: Yarn | None = None, *, pairing: Pairing = "half"
) -> RotaryPositions:
    """The module that turns queries and keys, made once for all layers of a model.

    Args:
        width: The rotated width, even.
        base: Base of the frequencies.
        max_len: Longest text, in tokens.
        yarn: How it is stretched; `None` for not at all.
        pairing: Which features make a pair.

    Returns:
        What `MultiHeadAttention(rotary=...)` takes.

    Raises:
        ValueError: A number out of range.

    Source:
        Su et al., "RoFormer", arXiv:2104.09864, section 3.2; Peng et al., arXiv:2309.00071.

    Examples:
        >>> rotary_positions(4, 10_000.0, 16).cos.shape
        torch.Size([16, 2])
    """
    if yarn is None:
        return RotaryPositions(rope_frequencies(width, base=base), max_len=max_len, pairing=pairing)
    frequencies = yarn_frequencies(
        width, yarn.factor, yarn.original_len,
        base=base, fast=yarn.fast, slow=yarn.slow, ramp=yarn.ramp,
    )  # fmt: skip
    factor = yarn.attention_factor
    factor = yarn_attention_factor(yarn.factor) if factor is None else factor
    return RotaryPositions(frequencies, max_len=max_len, factor=factor, pairing=pairing)
