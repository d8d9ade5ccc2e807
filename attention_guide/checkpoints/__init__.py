"""Weights: the book's own small models, and copies to and from other libraries."""

from attention_guide.checkpoints.files import write_atomically
from attention_guide.checkpoints.own import OwnModel, load_own, own_names, rounded, save_own

__all__ = ["OwnModel", "load_own", "own_names", "rounded", "save_own", "write_atomically"]
