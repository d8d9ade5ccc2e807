"""The mathematics: pure functions on tensors, without modules and without state."""

from attention_guide.functional.attention import (
    Kernel,
    attention,
    attention_weights,
)
from attention_guide.functional.blocked import (
    blocked_attention,
)
from attention_guide.functional.conventions import (
    from_additive,
    from_hf_2d,
    from_hf_4d,
    from_keras,
    from_mha,
    from_sdpa,
    mask_table,
    to_additive,
    to_hf_2d,
    to_hf_4d,
    to_keras,
    to_mha,
    to_sdpa,
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
from attention_guide.functional.linear import (
    LinearForm,
    elu_feature,
    kernel_attention,
    linear_attention,
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
from attention_guide.functional.online import (
    chunked_prefill,
    merge_partials,
    online_softmax,
    partial_attention,
)
from attention_guide.functional.polarity import (
    MaskPolarityWarning,
    suspect_polarity,
)
from attention_guide.functional.positions import learned_positions, sinusoidal
from attention_guide.functional.relative import (
    alibi_bias,
    alibi_slopes,
    relative_distance,
    shaw_scores,
    shaw_values,
    t5_bias,
    t5_buckets,
)
from attention_guide.functional.rope import (
    Pairing,
    apply_rope,
    convert_rope_weight,
    rope,
    rope_frequencies,
    rope_tables,
)
from attention_guide.functional.rope_scaling import (
    interpolate_frequencies,
    ntk_base,
    yarn_attention_factor,
    yarn_frequencies,
)
from attention_guide.functional.scores import (
    additive_scores,
    attention_scores,
    concat_scores,
    dot_scores,
    general_scores,
    scaled_dot_scores,
)
from attention_guide.functional.search import (
    Beams,
    beam_search,
    length_penalty,
)
from attention_guide.functional.softmax import masked_softmax
from attention_guide.functional.spectrogram import (
    MelScale,
    filter_bank_energies,
    log_mel_spectrogram,
    mel_filters,
)
from attention_guide.functional.speculative import (
    Accepted,
    speculative_accept,
    speculative_decode,
)
from attention_guide.functional.tiled import tiled_attention
from attention_guide.functional.traffic import Traffic, untiled_traffic

__all__ = [
    "Accepted",
    "Beams",
    "Kernel",
    "LinearForm",
    "MaskPolarityWarning",
    "MelScale",
    "Pairing",
    "Traffic",
    "additive_scores",
    "alibi_bias",
    "alibi_slopes",
    "apply_rope",
    "attention",
    "attention_scores",
    "attention_weights",
    "beam_search",
    "blocked_attention",
    "causal_mask",
    "chunked_prefill",
    "combine",
    "concat_scores",
    "convert_rope_weight",
    "document_mask",
    "dot_scores",
    "elu_feature",
    "filter_bank_energies",
    "from_additive",
    "from_hf_2d",
    "from_hf_4d",
    "from_keras",
    "from_mha",
    "from_sdpa",
    "general_scores",
    "generate",
    "global_local_mask",
    "greedy",
    "interpolate_frequencies",
    "kernel_attention",
    "learned_positions",
    "length_penalty",
    "linear_attention",
    "log_mel_spectrogram",
    "mask_table",
    "masked_softmax",
    "mel_filters",
    "merge_partials",
    "min_p",
    "ntk_base",
    "online_softmax",
    "padding_mask",
    "partial_attention",
    "position_mask",
    "prefix_mask",
    "relative_distance",
    "repetition_penalty",
    "rope",
    "rope_frequencies",
    "rope_tables",
    "sample",
    "scaled_dot_scores",
    "shaw_scores",
    "shaw_values",
    "sinusoidal",
    "speculative_accept",
    "speculative_decode",
    "suspect_polarity",
    "t5_bias",
    "t5_buckets",
    "temperature",
    "tiled_attention",
    "to_additive",
    "to_hf_2d",
    "to_hf_4d",
    "to_keras",
    "to_mha",
    "to_sdpa",
    "top_k",
    "top_p",
    "untiled_traffic",
    "window_mask",
    "yarn_attention_factor",
    "yarn_frequencies",
]
