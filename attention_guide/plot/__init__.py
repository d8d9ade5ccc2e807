"""Figures of attention: numpy (or tensors) in, a matplotlib Figure out.

This is the only part of the package that imports matplotlib, and nothing else imports it.
"""

from attention_guide.plot.lines import curves, loss_curve
from attention_guide.plot.maps import heads, heatmap
from attention_guide.plot.style import LINE_COLOURS, LINE_STYLES, MARKERS, OKABE_ITO
from attention_guide.plot.words import alt_text, weights_table

__all__ = [
    "LINE_COLOURS",
    "LINE_STYLES",
    "MARKERS",
    "OKABE_ITO",
    "alt_text",
    "curves",
    "heads",
    "heatmap",
    "loss_curve",
    "weights_table",
]
