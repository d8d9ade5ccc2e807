"""Explanations of a model's output, and measures of whether they are true.

Methods that read attention (rollout, flow, gradient × attention, induction score) take maps
`(B, H, T, S)` from an `AttentionRecorder`; those that question the model take a `Score`, a function
from inputs `(B, T, ...)` to numbers `(B,)`, and work with any module; logit lens and patching take
modules and watch or replace what they return.
"""

from attention_guide.explain.agreement import kendall_tau, spearman, top_k_overlap
from attention_guide.explain.curves import Curve, deletion_curve, insertion_curve
from attention_guide.explain.faithfulness import comprehensiveness, most_important, sufficiency
from attention_guide.explain.flow import attention_flow, max_flow
from attention_guide.explain.gradients import attention_gradients, gradient_times_attention
from attention_guide.explain.induction import induction_score, repeated_ids
from attention_guide.explain.integrated import completeness_gap, integrated_gradients
from attention_guide.explain.lens import logit_lens
from attention_guide.explain.occlusion import occlusion
from attention_guide.explain.patching import (
    outputs_of,
    patched,
    patching_by_head,
    patching_by_position,
)
from attention_guide.explain.rollout import mixing, rollout
from attention_guide.explain.score import Score, at_embedding
from attention_guide.explain.shapley import ShapleyEstimate, shapley_sampling, shapley_values

__all__ = [
    "Curve",
    "Score",
    "ShapleyEstimate",
    "at_embedding",
    "attention_flow",
    "attention_gradients",
    "completeness_gap",
    "comprehensiveness",
    "deletion_curve",
    "gradient_times_attention",
    "induction_score",
    "insertion_curve",
    "integrated_gradients",
    "kendall_tau",
    "logit_lens",
    "max_flow",
    "mixing",
    "most_important",
    "occlusion",
    "outputs_of",
    "patched",
    "patching_by_head",
    "patching_by_position",
    "repeated_ids",
    "rollout",
    "shapley_sampling",
    "shapley_values",
    "spearman",
    "sufficiency",
    "top_k_overlap",
]
