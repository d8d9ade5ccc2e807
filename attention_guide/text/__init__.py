"""Text to ids and back: tokenizers, vocabularies, padding, buckets, packing."""

from attention_guide.text.batching import PairBatches, lengths_of, pad_batch
from attention_guide.text.bpe import ByteBPE
from attention_guide.text.bucketing import BucketBatches
from attention_guide.text.packing import Packed, next_tokens, pack, pack_stream, unpack
from attention_guide.text.pretokens import pretokens
from attention_guide.text.tokenizers import CharacterTokenizer, Tokenizer, WordTokenizer
from attention_guide.text.vocabulary import Vocabulary, characters, words
from attention_guide.text.wordpiece import WordPiece

__all__ = [
    "BucketBatches",
    "ByteBPE",
    "CharacterTokenizer",
    "Packed",
    "PairBatches",
    "Tokenizer",
    "Vocabulary",
    "WordPiece",
    "WordTokenizer",
    "characters",
    "lengths_of",
    "next_tokens",
    "pack",
    "pack_stream",
    "pad_batch",
    "pretokens",
    "unpack",
    "words",
]
