"""Training: the loop, optimiser, schedules, losses, measures, checkpoints to resume from."""

from attention_guide.train.calibration import brier_score, calibration_error, reliability
from attention_guide.train.checkpoints import Checkpoints, DamagedCheckpointWarning
from attention_guide.train.distributed import World
from attention_guide.train.loop import History, fit
from attention_guide.train.losses import (
    cross_entropy,
    smoothing_floor,
    target_tokens,
    teacher_forcing,
)
from attention_guide.train.metrics import (
    accuracy,
    bleu,
    chrf,
    exact_match,
    f1_score,
    perplexity,
    token_accuracy,
)
from attention_guide.train.optim import adamw, decay_groups
from attention_guide.train.resume import CheckpointError, load_training, save_training
from attention_guide.train.schedules import constant, cosine, inverse_sqrt, vaswani_rate, wsd
from attention_guide.train.stopping import EarlyStopping

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "DamagedCheckpointWarning",
    "EarlyStopping",
    "History",
    "World",
    "accuracy",
    "adamw",
    "bleu",
    "brier_score",
    "calibration_error",
    "chrf",
    "constant",
    "cosine",
    "cross_entropy",
    "decay_groups",
    "exact_match",
    "f1_score",
    "fit",
    "inverse_sqrt",
    "load_training",
    "perplexity",
    "reliability",
    "save_training",
    "smoothing_floor",
    "target_tokens",
    "teacher_forcing",
    "token_accuracy",
    "vaswani_rate",
    "wsd",
]
