"""The mathematics: pure functions on tensors, without modules and without state."""

from attention_guide.functional.attention import (
    Kernel,
    attention,
    attention_weights,
)
from attention_guide.functional.blocked import (
    blocked_attention,
)
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
from attention_guide.functional.positions import (
    sinusoidal,
)
from attention_guide.functional.rope import (
    Pairing,
    apply_rope,
    convert_rope_weight,
    interpolate_frequencies,
    ntk_base,
    rope,
    rope_frequencies,
    rope_tables,
    yarn_attention_factor,
    yarn_frequencies,
)
from attention_guide.functional.scores import (
    additive_scores,
    attention_scores,
    concat_scores,
    dot_scores,
    general_scores,
    masked_softmax,
    scaled_dot_scores,
)
from attention_guide.functional.search import (
    Beams,
    beam_search,
    length_penalty,
)
from attention_guide.functional.tiled import (
    Traffic,
    tiled_attention,
    untiled_traffic,
)

__all__ = [
    "Beams",
    "Kernel",
    "Pairing",
    "Traffic",
    "additive_scores",
    "apply_rope",
    "attention",
    "attention_scores",
    "attention_weights",
    "beam_search",
    "blocked_attention",
    "causal_mask",
    "combine",
    "concat_scores",
    "convert_rope_weight",
    "document_mask",
    "dot_scores",
    "general_scores",
    "generate",
    "global_local_mask",
    "greedy",
    "interpolate_frequencies",
    "length_penalty",
    "masked_softmax",
    "min_p",
    "ntk_base",
    "padding_mask",
    "position_mask",
    "prefix_mask",
    "repetition_penalty",
    "rope",
    "rope_frequencies",
    "rope_tables",
    "sample",
    "scaled_dot_scores",
    "sinusoidal",
    "temperature",
    "tiled_attention",
    "top_k",
    "top_p",
    "untiled_traffic",
    "window_mask",
    "yarn_attention_factor",
    "yarn_frequencies",
]
