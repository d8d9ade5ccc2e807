"""The logit lens: what each layer would say if the model stopped there."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.functional import _checks

__all__ = ["logit_lens"]


def logit_lens(
    run: Callable[[], object],
    blocks: Sequence[nn.Module] | nn.ModuleList,
    readout: Callable[[Tensor], Tensor],
) -> Float[Tensor, "L1 B T V"]:
    r"""Logit lens, $\ell_l = \mathrm{readout}(h_l)$ for the stream before and after every block.

    The residual stream keeps its meaning from block to block, so the model's own last step
    (norm and output projection) can be applied early. Where a model wasn't trained to keep it, the
    lens shows noise: it reads, it doesn't prove that the model uses what is read.

    Args:
        run: Runs the model once: `lambda: model(ids)`.
        blocks: The blocks of one stack, in order, each with an input and an output `(B, T, D)`:
            `model.decoder.blocks`.
        readout: What the model does after the last block, from `(B, T, D)` to `(B, T, V)`:
            `lambda h: model.output_proj(model.decoder.norm(h))`.

    Returns:
        `(L1, B, T, V)` with L1 = L + 1 for L blocks: what is read before the first block, after
        it, and so on; the last is the model's own logits.

    Raises:
        TypeError: A block's first input or its output isn't a floating-point tensor.
        ValueError: No blocks, a block runs not exactly once, or a stream that isn't `(B, T, D)`.

    Cost:
        One run, and L + 1 readouts of `2 · B · T · D · V` flops.

    Source:
        nostalgebraist, "interpreting GPT: the logit lens", LessWrong, 2020,
        <https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens>.

    Examples:
        >>> from attention_guide.models import Transformer, TransformerConfig
        >>> config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=3)
        >>> model = Transformer(config).eval()
        >>> src, tgt = torch.tensor([[5, 6, 7, 2]]), torch.tensor([[1, 9]])
        >>> def readout(h):
        ...     return model.output_proj(model.decoder.norm(h))
        >>> seen = logit_lens(lambda: model(src, tgt), model.decoder.blocks, readout)
        >>> seen.shape, bool((seen[-1] == model(src, tgt)).all())
        (torch.Size([4, 1, 2, 11]), True)
    """
    if len(blocks) == 0:
        raise ValueError("blocks: expected at least one; got none")
    entered: list[Tensor] = []
    left: list[list[Tensor]] = [[] for _ in blocks]

    def enter(_module: nn.Module, inputs: tuple[object, ...]) -> None:
        entered.append(_stream("blocks[0]", inputs[0] if inputs else None))

    def leave(place: int) -> Callable[..., None]:
        return lambda _module, _inputs, output: left[place].append(
            _stream(f"blocks[{place}]", output)
        )

    handles = [blocks[0].register_forward_pre_hook(enter)]
    handles += [block.register_forward_hook(leave(i)) for i, block in enumerate(blocks)]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    for place, outputs in enumerate(left):
        if len(outputs) != 1:
            raise ValueError(
                f"blocks[{place}]: expected to run once in a call of run; it ran {len(outputs)}x"
            )
    with torch.no_grad():
        return torch.stack([readout(h) for h in [entered[0], *(outputs[0] for outputs in left)]])


def _stream(name: str, value: object) -> Tensor:
    stream = _checks.floating(name, value)
    _checks.rank(name, stream, "B T D")
    return stream
