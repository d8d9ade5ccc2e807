"""The mathematics: pure functions on tensors, without modules and without state."""

from attention_guide.functional.attention import attention, attention_weights
from attention_guide.functional.decoding import (
    generate,
    greedy,
    min_p,
    repetition_penalty,
    sample,
    temperature,
    top_k,
    top_p,
)
from attention_guide.functional.masks import (
    causal_mask,
    combine,
    document_mask,
    global_local_mask,
    padding_mask,
    position_mask,
    prefix_mask,
    window_mask,
)
from attention_guide.functional.positions import sinusoidal
from attention_guide.functional.scores import (
    additive_scores,
    concat_scores,
    dot_scores,
    general_scores,
    masked_softmax,
    scaled_dot_scores,
)
from attention_guide.functional.search import Beams, beam_search, length_penalty

__all__ = [
    "Beams",
    "additive_scores",
    "attention",
    "attention_weights",
    "beam_search",
    "causal_mask",
    "combine",
    "concat_scores",
    "document_mask",
    "dot_scores",
    "general_scores",
    "generate",
    "global_local_mask",
    "greedy",
    "length_penalty",
    "masked_softmax",
    "min_p",
    "padding_mask",
    "position_mask",
    "prefix_mask",
    "repetition_penalty",
    "sample",
    "scaled_dot_scores",
    "sinusoidal",
    "temperature",
    "top_k",
    "top_p",
    "window_mask",
]
