r"""What an explanation explains: a score, one number for each input.

Every method of this package that asks a model takes a `Score`: a function (or a module) that is
given a batch of inputs and returns one number each,

```
score(x)     x (B, T, ...)  ──▶  (B,)
```

with tokens along axis 1. `x` may hold embeddings, `(B, T, D)`, which the methods with gradients
need, or ids, `(B, T)`, for those that only try inputs out. Rows must not influence each other (a
model in `eval()` mode), since the methods stack many versions of one input into a batch.
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attention_guide.explain._inputs import Score
from attention_guide.functional import _checks

__all__ = ["Score", "at_embedding"]


def at_embedding(
    embedding: nn.Module, run: Callable[[Tensor], Tensor], ids: Tensor
) -> tuple[Score, Tensor]:
    r"""Turn a model that reads ids into $\text{score}(x)$ of embeddings, and give the true $x$.

    While the score runs, the output of `embedding` is replaced by `x`; all that comes after it
    (scaling by $\sqrt{D}$ inside the module excepted, which is part of its output) stays as it is.

    Args:
        embedding: The module whose output, `(B, T, D)`, takes the place of the input:
            `model.src_embedding`. Where it runs more than once in a call of `run`, as in a model
            that embeds source and target alike, the run whose input is `ids` itself counts.
        run: From ids `(B, T)` to scores `(B,)`; where a model takes more than one input, the
            function closes over the others.
        ids: `(1, T)`, the input to be explained.

    Returns:
        The score, for any number of rows, and the embeddings of `ids`, `(1, T, D)`.

    Raises:
        TypeError: `ids` aren't integers, `run` isn't a function, or `embedding` isn't a module that
            returns a floating-point tensor. In the score: `x` has another dtype than that.
        ValueError: `ids` isn't `(1, T)`, or `embedding` never runs, runs more than once without
            one run on `ids`, or returns no `(1, T, D)`. In the score: `x` isn't `(B, T, D)` with
            that T and D.

    Examples:
        >>> from attention_guide.models import Transformer, TransformerConfig
        >>> config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=2)
        >>> model, tgt = Transformer(config).eval(), torch.tensor([[1, 9]])
        >>> def run(src):
        ...     return model(src, tgt.expand(len(src), -1))[:, -1, 4]
        >>> score, x = at_embedding(model.src_embedding, run, torch.tensor([[5, 6, 7, 2]]))
        >>> x.shape, score(x.expand(3, -1, -1)).shape
        (torch.Size([1, 4, 16]), torch.Size([3]))
    """
    _checks.instance("embedding", embedding, nn.Module)
    _checks.functions(run=run)
    _checks.integral("ids", ids)
    if ids.ndim != 2 or ids.shape[0] != 1 or ids.shape[1] == 0:
        raise ValueError(f"ids: expected (1, T) with T at least 1; got {_checks.shape(ids)}")
    given: list[object] = []
    made: list[Tensor] = []

    def note(_module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> None:
        given.append(inputs[0] if inputs else None)
        made.append(output)

    with torch.no_grad():
        _hooked(embedding, note, run, ids)
    turns = [turn for turn, x in enumerate(given) if len(given) == 1 or x is ids]
    if len(turns) != 1:
        raise ValueError(
            "embedding: expected to run once in a call of run, or once on ids; "
            f"it ran {len(given)}x, {len(turns)}x on ids"
        )
    own = _checks.floating("embedding(ids)", made[turns[0]]).detach().clone()
    _checks.rank("embedding(ids)", own, "B T D")
    _checks.axis("embedding(ids)", own, 0, 1, "B T D", "as in ids")

    def score(x: Tensor) -> Tensor:
        _checks.rank("x", _checks.floating("x", x), "B T D")
        for place in (1, 2):
            _checks.axis("x", x, place, own.shape[place], "B T D", "as in embedding(ids)")
        _checks.like("x", x, "embedding(ids)", own)

        turn = itertools.count()

        def substitute(
            _module: nn.Module, _inputs: tuple[object, ...], _output: Tensor
        ) -> Tensor | None:
            return x if next(turn) == turns[0] else None

        return _hooked(embedding, substitute, run, ids.expand(x.shape[0], -1))

    return score, own


def _hooked(
    module: nn.Module,
    hook: Callable[[nn.Module, tuple[object, ...], Tensor], Tensor | None],
    run: Callable[[Tensor], Tensor],
    ids: Tensor,
) -> Tensor:
    handle = module.register_forward_hook(hook)
    try:
        return run(ids)
    finally:
        handle.remove()
