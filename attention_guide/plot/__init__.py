"""Figures of attention: numpy (or tensors) in, a matplotlib Figure out.

This is the only part of the package that imports matplotlib, and nothing else imports it.
"""

from attention_guide.plot.maps import heads, heatmap
from attention_guide.plot.style import LINE_COLOURS, OKABE_ITO

__all__ = ["LINE_COLOURS", "OKABE_ITO", "heads", "heatmap"]
