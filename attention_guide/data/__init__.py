"""Data that the book makes itself, or finds in its dependencies."""

from attention_guide.data.reverse import ALPHABET, reversal_pairs, split_reversal

__all__ = ["ALPHABET", "reversal_pairs", "split_reversal"]
