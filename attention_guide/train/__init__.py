"""Training: the loop, learning-rate schedules, losses, measures, checkpoints to resume from."""

from attention_guide.train.loop import History, fit
from attention_guide.train.losses import cross_entropy, smoothing_floor, teacher_forcing
from attention_guide.train.metrics import bleu, exact_match, token_accuracy
from attention_guide.train.resume import load_training, save_training
from attention_guide.train.schedules import constant, cosine, inverse_sqrt, vaswani_rate

__all__ = [
    "History",
    "bleu",
    "constant",
    "cosine",
    "cross_entropy",
    "exact_match",
    "fit",
    "inverse_sqrt",
    "load_training",
    "save_training",
    "smoothing_floor",
    "teacher_forcing",
    "token_accuracy",
    "vaswani_rate",
]
