"""Data that the book makes itself, finds on the machine, or fetches when asked to.

`catalogue()` has every set that is made here, `load_public()` the published ones.
"""

from attention_guide.data.archives import ArchiveError
from attention_guide.data.cards import Card, DataChangedWarning, Seen, checksum
from attention_guide.data.catalogue import catalogue
from attention_guide.data.corpora import pydoc_topics
from attention_guide.data.public import load_public
from attention_guide.data.reverse import ALPHABET, reversal_pairs, split_reversal
from attention_guide.data.sequences import copy_pairs, sort_alignment, sort_pairs

__all__ = [
    "ALPHABET",
    "ArchiveError",
    "Card",
    "DataChangedWarning",
    "Seen",
    "catalogue",
    "checksum",
    "copy_pairs",
    "load_public",
    "pydoc_topics",
    "reversal_pairs",
    "sort_alignment",
    "sort_pairs",
    "split_reversal",
]
