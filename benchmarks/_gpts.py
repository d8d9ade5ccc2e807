"""Our GPT-2 and three peers of the same sizes: a plain one in one class, HF's, x-transformers'."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2Config as HuggingFaceConfig
from transformers import GPT2LMHeadModel
from x_transformers import Decoder, TransformerWrapper

from attention_guide.models import GPT2, GPT2Config


class PlainGPT(nn.Module):
    """What one writes on a page: one matrix for queries, keys and values, torch's attention."""

    def __init__(self, vocab: int, width: int, heads: int, depth: int, length: int) -> None:
        super().__init__()
        self.heads, self.length = heads, length
        self.tokens = nn.Embedding(vocab, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({
                "before_attention": nn.LayerNorm(width),
                "qkv": nn.Linear(width, 3 * width),
                "out": nn.Linear(width, width),
                "before_mlp": nn.LayerNorm(width),
                "up": nn.Linear(width, 4 * width),
                "down": nn.Linear(4 * width, width),
            })
            for _ in range(depth)
        )  # fmt: skip
        self.last_norm = nn.LayerNorm(width)
        self.apply(_normal)
        for block in self.blocks:
            for name in ("out", "down"):
                nn.init.normal_(block[name].weight, std=0.02 / (2 * depth) ** 0.5)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits, `(B, T, V)`."""
        b, t = ids.shape
        x = self.tokens(ids) + self.places.weight[:t]
        for block in self.blocks:
            q, k, v = (
                part.view(b, t, self.heads, -1).transpose(1, 2)
                for part in block["qkv"](block["before_attention"](x)).chunk(3, dim=-1)
            )
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + block["out"](seen.transpose(1, 2).reshape(b, t, -1))
            hidden = F.gelu(block["up"](block["before_mlp"](x)), approximate="tanh")
            x = x + block["down"](hidden)
        return self.last_norm(x) @ self.tokens.weight.T


def _normal(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def ours(vocab: int, width: int, heads: int, depth: int, length: int) -> GPT2:
    """Our GPT-2, without dropout like the others."""
    return GPT2(GPT2Config(vocab, width, heads, depth, max_len=length, dropout=0.0))


def hugging_face(vocab: int, width: int, heads: int, depth: int, length: int) -> GPT2LMHeadModel:
    """Hugging Face's GPT-2 with torch's attention."""
    config = HuggingFaceConfig(
        vocab_size=vocab, n_positions=length, n_embd=width, n_layer=depth, n_head=heads,
        embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0, attn_implementation="sdpa",
        bos_token_id=0, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def x_transformers(vocab: int, width: int, heads: int, depth: int, length: int) -> nn.Module:
    """x-transformers' decoder, its flash attention on."""
    layers = Decoder(
        dim=width, depth=depth, heads=heads, attn_dim_head=width // heads, attn_flash=True
    )
    return TransformerWrapper(
        num_tokens=vocab, max_seq_len=length, attn_layers=layers, tie_embedding=True
    )


def candidates(
    vocab: int, width: int, heads: int, depth: int, length: int
) -> dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]]:
    """Each model and its call from ids to logits, by name, ours first."""
    sizes = (vocab, width, heads, depth, length)
    torch.manual_seed(0)
    our, plain, theirs, x = (
        ours(*sizes),
        PlainGPT(*sizes),
        hugging_face(*sizes),
        x_transformers(*sizes),
    )
    return {
        "ours": (our, our),
        "plain GPT": (plain, plain),
        "HF GPT-2": (theirs, lambda ids: theirs(ids, use_cache=False).logits),
        "x-transformers": (x, x),
    }
