"""Data that the book makes itself, or finds in its dependencies."""

from attention_guide.data.cards import Card, DataChangedWarning, checksum
from attention_guide.data.reverse import ALPHABET, reversal_pairs, split_reversal

__all__ = [
    "ALPHABET",
    "Card",
    "DataChangedWarning",
    "checksum",
    "reversal_pairs",
    "split_reversal",
]
