"""Whole models, each with a frozen configuration."""

from attention_guide.models.config import TransformerConfig
from attention_guide.models.decoder import Decoder
from attention_guide.models.decoding import Decodes, generate, left_pad, sampler, stream
from attention_guide.models.encoder import Encoder
from attention_guide.models.gpt2 import GPT2, GPT2Config
from attention_guide.models.language_model import LanguageModel
from attention_guide.models.rnn import RecurrentConfig, RecurrentSeq2Seq
from attention_guide.models.seq2seq import Transformer
from attention_guide.models.vit import ViT, ViTConfig

__all__ = [
    "GPT2",
    "Decoder",
    "Decodes",
    "Encoder",
    "GPT2Config",
    "LanguageModel",
    "RecurrentConfig",
    "RecurrentSeq2Seq",
    "Transformer",
    "TransformerConfig",
    "ViT",
    "ViTConfig",
    "generate",
    "left_pad",
    "sampler",
    "stream",
]
