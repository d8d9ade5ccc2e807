"""Text to ids and back: vocabularies, padding, batches."""

from attention_guide.text.batching import PairBatches, lengths_of, pad_batch
from attention_guide.text.vocabulary import Vocabulary, characters, words

__all__ = ["PairBatches", "Vocabulary", "characters", "lengths_of", "pad_batch", "words"]
