"""Figures of attention: numpy (or tensors) in, a matplotlib Figure out.

This is the only part of the package that imports matplotlib, and nothing else imports it.
"""

from attention_guide.plot.arcs import arcs
from attention_guide.plot.heads_view import head_view
from attention_guide.plot.lines import curves, loss_curve
from attention_guide.plot.maps import heads, heatmap
from attention_guide.plot.positions import position_similarity
from attention_guide.plot.saving import save
from attention_guide.plot.style import LINE_COLOURS, LINE_STYLES, MARKERS, OKABE_ITO
from attention_guide.plot.tables import curves_table, describe, table
from attention_guide.plot.tokens import MissingGlyphs
from attention_guide.plot.training import training_curves
from attention_guide.plot.words import alt_text, weights_table

__all__ = [
    "LINE_COLOURS",
    "LINE_STYLES",
    "MARKERS",
    "OKABE_ITO",
    "MissingGlyphs",
    "alt_text",
    "arcs",
    "curves",
    "curves_table",
    "describe",
    "head_view",
    "heads",
    "heatmap",
    "loss_curve",
    "position_similarity",
    "save",
    "table",
    "training_curves",
    "weights_table",
]
