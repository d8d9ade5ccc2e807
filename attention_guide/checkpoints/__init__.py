"""Weights: the book's own small models, and copies to and from other libraries."""

from attention_guide.checkpoints.files import write_atomically
from attention_guide.checkpoints.hugging_face import (
    from_hugging_face,
    load_hugging_face,
    save_hugging_face,
    to_hugging_face,
)
from attention_guide.checkpoints.own import OwnModel, load_own, own_names, rounded, save_own
from attention_guide.checkpoints.pretrained import Pretrained, load

__all__ = [
    "OwnModel",
    "Pretrained",
    "from_hugging_face",
    "load",
    "load_hugging_face",
    "load_own",
    "own_names",
    "rounded",
    "save_hugging_face",
    "save_own",
    "to_hugging_face",
    "write_atomically",
]
