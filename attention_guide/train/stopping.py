"""Early stopping: end a run when its evaluations no longer get better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from attention_guide.train import distributed


class EarlyStopping:
    """Stop when a number hasn't become better for `patience` evaluations in a row.

    Pass it to `fit` as `stop=`. With a model it keeps a copy of the weights of the best
    evaluation, to be put back with `restore()`. Its state can be saved with a checkpoint.

    Args:
        metric: Which number of the evaluation to watch, such as `"loss"`.
        patience: How many evaluations without improvement to bear, at least 1.
        higher_is_better: `False` for a loss, `True` for an accuracy.
        min_delta: How much better counts as better.
        model: Keep the best weights of this model.

    Raises:
        ValueError: `patience` is less than 1, or `min_delta` negative.

    Source:
        Prechelt (1998), "Early Stopping — But When?", measures what slower criteria gain
        (about 4 % of the error) and cost (about four times the training).

    Examples:
        >>> stop = EarlyStopping("loss", patience=2)
        >>> [stop({"loss": loss}) for loss in (3.0, 2.0, 2.5, 2.1, 1.0)]
        [False, False, False, True, False]
        >>> stop.best
        1.0
    """

    def __init__(
        self,
        metric: str,
        patience: int = 3,
        *,
        higher_is_better: bool = False,
        min_delta: float = 0.0,
        model: nn.Module | None = None,
    ) -> None:
        """Check the numbers."""
        if patience < 1 or min_delta < 0.0:
            raise ValueError(
                f"patience, min_delta: expected at least 1 and 0, got {patience}, {min_delta}"
            )
        self.metric, self.patience, self.min_delta = metric, patience, min_delta
        self.sign = 1.0 if higher_is_better else -1.0
        self.model = model
        self.best: float | None = None
        self.best_step: float | None = None
        self.waited = 0
        self._weights: dict[str, Tensor] | None = None

    def __call__(self, measured: Mapping[str, float]) -> bool:
        """Take one evaluation in.

        Args:
            measured: Name to number; `fit` adds `step`.

        Returns:
            Whether to stop.

        Raises:
            KeyError: The metric isn't among the numbers.
        """
        if self.metric not in measured:
            raise KeyError(f"metric: {self.metric!r} isn't among {', '.join(measured)}")
        value = float(measured[self.metric])
        # Not NaN: a comparison with it is false, so it never counts as an improvement.
        better = value == value and (
            self.best is None or self.sign * (value - self.best) > self.min_delta
        )
        if better:
            self.best, self.waited = value, 0
            self.best_step = measured.get("step")
            if self.model is not None:
                weights = distributed.weights_of(self.model)
                self._weights = {name: t.detach().clone() for name, t in weights.items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self) -> None:
        """Put the best weights back into the model.

        Raises:
            RuntimeError: No model was given, or nothing was evaluated yet.
        """
        if self.model is None or self._weights is None:
            raise RuntimeError("restore: expected a model and an evaluation, got none")
        distributed.load_weights(self.model, self._weights)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "best": self.best,
            "best_step": self.best_step,
            "waited": self.waited,
            "weights": self._weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.best, self.best_step = state["best"], state["best_step"]
        self.waited, self._weights = state["waited"], state["weights"]
