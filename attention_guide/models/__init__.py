"""Whole models, each with a frozen configuration."""

from attention_guide.models.ast import AST, ASTConfig
from attention_guide.models.audio import SpeechStem, Whisper, WhisperConfig, stacked_sinusoids
from attention_guide.models.bert import Bert, BertClassifier, BertConfig, BertForMaskedWords
from attention_guide.models.bloom import Bloom, BloomConfig
from attention_guide.models.captioner import Captioner, CaptionerConfig
from attention_guide.models.clip import CLIP, CLIPConfig, contrastive_loss, quick_gelu
from attention_guide.models.config import TransformerConfig
from attention_guide.models.count import count_parameters, forward_flops
from attention_guide.models.decoder import Decoder
from attention_guide.models.decoding import Decodes, generate, left_pad, sampler, stream
from attention_guide.models.deepseek import DeepSeek, DeepSeekConfig, ExpertSizes, LatentSizes
from attention_guide.models.encoder import Encoder
from attention_guide.models.gemma2 import Gemma2, Gemma2Config
from attention_guide.models.gpt2 import GPT2, GPT2Config
from attention_guide.models.language_model import LanguageModel
from attention_guide.models.llama import Llama, LlamaConfig
from attention_guide.models.marian import Marian, MarianConfig
from attention_guide.models.rnn import RecurrentConfig, RecurrentSeq2Seq
from attention_guide.models.rotary import Yarn
from attention_guide.models.seq2seq import Transformer
from attention_guide.models.t5 import T5, T5Config
from attention_guide.models.text_decoder import EncoderTextDecoder, TextDecoder
from attention_guide.models.vit import ViT, ViTConfig

__all__ = [
    "AST",
    "CLIP",
    "GPT2",
    "T5",
    "ASTConfig",
    "Bert",
    "BertClassifier",
    "BertConfig",
    "BertForMaskedWords",
    "Bloom",
    "BloomConfig",
    "CLIPConfig",
    "Captioner",
    "CaptionerConfig",
    "Decoder",
    "Decodes",
    "DeepSeek",
    "DeepSeekConfig",
    "Encoder",
    "EncoderTextDecoder",
    "ExpertSizes",
    "GPT2Config",
    "Gemma2",
    "Gemma2Config",
    "LanguageModel",
    "LatentSizes",
    "Llama",
    "LlamaConfig",
    "Marian",
    "MarianConfig",
    "RecurrentConfig",
    "RecurrentSeq2Seq",
    "SpeechStem",
    "T5Config",
    "TextDecoder",
    "Transformer",
    "TransformerConfig",
    "ViT",
    "ViTConfig",
    "Whisper",
    "WhisperConfig",
    "Yarn",
    "contrastive_loss",
    "count_parameters",
    "forward_flops",
    "generate",
    "left_pad",
    "quick_gelu",
    "sampler",
    "stacked_sinusoids",
    "stream",
]
