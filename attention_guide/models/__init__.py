"""Whole models, each with a frozen configuration."""

from attention_guide.models.config import TransformerConfig
from attention_guide.models.decoder import Decoder
from attention_guide.models.encoder import Encoder
from attention_guide.models.rnn import RecurrentConfig, RecurrentSeq2Seq
from attention_guide.models.seq2seq import Transformer
from attention_guide.models.vit import ViT, ViTConfig

__all__ = [
    "Decoder",
    "Encoder",
    "RecurrentConfig",
    "RecurrentSeq2Seq",
    "Transformer",
    "TransformerConfig",
    "ViT",
    "ViTConfig",
]
