"""Recurrent decoders that attend: Bahdanau's (before the step) and Luong's (after it)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import check_dtype, check_sequence, check_sizes
from attention_guide.layers.alignment import AdditiveAttention, LuongAttention
from attention_guide.layers.heads import WeightRecorder


class _AttentiveDecoder(nn.Module):
    """The loop over target positions that both decoders share."""

    # Shadowed on chosen layers while an AttentionRecorder watches: nothing is paid when it is off.
    recorder: WeightRecorder | None = None
    attention: AdditiveAttention | LuongAttention
    cell: nn.GRUCell

    def __init__(self, d_input: int, d_model: int, d_memory: int) -> None:
        super().__init__()
        check_sizes(d_input=d_input, d_model=d_model, d_memory=d_memory)
        self.d_input, self.d_model, self.d_memory = d_input, d_model, d_memory

    @property
    def d_state(self) -> int:
        """Width of the state that is passed from step to step."""
        return self.d_model

    def forward(
        self,
        inputs: Float[Tensor, "B T D"],
        memory: Float[Tensor, "B S M"],
        state: Float[Tensor, "B N"] | None = None,
        *,
        mask: Bool[Tensor, "#B 1 1 S"] | None = None,
        resumed: bool = False,
    ) -> tuple[Float[Tensor, "B T E"], Float[Tensor, "B N"]]:
        """Run over the inputs, attending to the memory once a position.

        Args:
            inputs: Embedded target tokens, shape `(B, T, D)`.
            memory: The encoder's states, shape `(B, S, M)`.
            state: The state to begin with, shape `(B, N)` with N = `d_state`; zeros by default.
            mask: True where the memory may be attended to, shape `(B, 1, 1, S)`, as
                `padding_mask` makes it.
            resumed: Whether these positions continue the last call's, for a recorder.

        Returns:
            The outputs `(B, T, E)` with E = `d_model`, and the last state `(B, N)`. Decoding one
            token at a time, pass the state back in.

        Raises:
            ValueError: A shape doesn't fit.
            TypeError: A tensor isn't floating point, or the mask isn't bool.
        """
        batch = self._check(inputs, memory, state, mask)
        _checks.flag("resumed", resumed)
        state = inputs.new_zeros(batch, self.d_state) if state is None else state
        allowed = None if mask is None else mask.expand(batch, -1, -1, -1)[:, 0, 0]
        source = _Source(memory, self.attention.keys(memory), allowed)
        outputs = []
        for t in range(inputs.shape[1]):
            output, state = self._step(inputs[:, t], state, source, resumed or t > 0)
            outputs.append(output)
        return torch.stack(outputs, dim=1), state

    def _step(
        self, x: Tensor, state: Tensor, source: _Source, resumed: bool
    ) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def _attend(self, query: Tensor, source: _Source, resumed: bool) -> Tensor:
        weights: Tensor = self.attention(query, source.keys, source.allowed)
        if self.recorder is not None:
            weights = self.recorder.add(weights[:, None, None], resumed=resumed)[:, 0, 0]
        return torch.einsum("bs,bsm->bm", weights, source.memory)

    def _check(
        self, inputs: Tensor, memory: Tensor, state: Tensor | None, mask: Tensor | None
    ) -> int:
        weight = self.cell.weight_ih
        check_sequence("inputs", inputs, self.d_input, weight=weight)
        check_sequence("memory", memory, self.d_memory, "B S M")
        check_dtype("memory", memory, inputs, "inputs")
        batch, positions = memory.shape[0], memory.shape[1]
        if inputs.shape[0] != batch or inputs.shape[1] == 0:
            raise ValueError(
                f"inputs: expected (B, T, D) with B = {batch} and T > 0, got {tuple(inputs.shape)}"
            )
        if state is not None:
            check_sequence("state", state, self.d_state, "B N", weight)
            _checks.axis("state", state, 0, batch, "B N", "as in memory")
        if mask is not None and _checks.boolean("mask", mask).shape not in (
            (batch, 1, 1, positions),
            (1, 1, 1, positions),
        ):
            raise ValueError(
                f"mask: expected (B, 1, 1, S) = {(batch, 1, 1, positions)}, got {tuple(mask.shape)}"
            )
        return int(batch)


class BahdanauDecoder(_AttentiveDecoder):
    """`c_i = attend(s_{i-1}, h)`, `s_i = GRU(s_{i-1}, [y_{i-1}; c_i])`: attend, then step.

    The output is the paper's deep one: `t_i = maxout(U_o s + V_o y_{i-1} + C_o c_i)`, two pieces.
    It reads the new state `s_i`, as the paper's equation 4 has it; its appendix has `s_{i-1}`.

    Args:
        d_input: Width of the embedded target tokens.
        d_model: Width of the state and of the output.
        d_memory: Width of the encoder's states.
        d_attention: Width of the attention's hidden layer; `d_model` by default.

    Source:
        Bahdanau et al. (2015), section 3.1 and appendix A.

    Examples:
        >>> decoder = BahdanauDecoder(d_input=8, d_model=16, d_memory=12)
        >>> outputs, state = decoder(torch.randn(2, 5, 8), torch.randn(2, 7, 12))
        >>> outputs.shape, state.shape
        (torch.Size([2, 5, 16]), torch.Size([2, 16]))
    """

    def __init__(
        self, d_input: int, d_model: int, d_memory: int, d_attention: int | None = None
    ) -> None:
        super().__init__(d_input, d_model, d_memory)
        self.attention = AdditiveAttention(
            d_model, d_memory, d_model if d_attention is None else d_attention
        )
        self.cell = nn.GRUCell(d_input + d_memory, d_model)
        self.readout = nn.Linear(d_model + d_input + d_memory, 2 * d_model)

    def _step(
        self, x: Tensor, state: Tensor, source: _Source, resumed: bool
    ) -> tuple[Tensor, Tensor]:
        context = self._attend(state, source, resumed)
        state = self.cell(torch.cat([x, context], dim=-1), state)
        pieces = self.readout(torch.cat([state, x, context], dim=-1))
        return pieces.unflatten(-1, (-1, 2)).amax(dim=-1), state


class LuongDecoder(_AttentiveDecoder):
    """`h_t = GRU(h_{t-1}, [y_{t-1}; h̃_{t-1}])`, `h̃_t = tanh(W_c [c_t; h_t])`: step, then attend.

    `h̃_{t-1}` among the inputs is the paper's input feeding: it tells the next step where
    the last one looked. The paper stacks LSTMs; one GRU stands here in their place.

    Args:
        d_input: Width of the embedded target tokens.
        d_model: Width of `h_t` and of the output `h̃_t`.
        d_memory: Width of the encoder's states.
        score: `"dot"`, `"general"` or `"concat"`.

    Raises:
        ValueError: An unknown score, or `"dot"` with two widths.

    Source:
        Luong et al. (2015), sections 3 (equation 5), 3.1 (global attention) and 3.3 (input
        feeding).

    Examples:
        >>> decoder = LuongDecoder(d_input=8, d_model=16, d_memory=12, score="general")
        >>> outputs, state = decoder(torch.randn(2, 5, 8), torch.randn(2, 7, 12))
        >>> outputs.shape, state.shape
        (torch.Size([2, 5, 16]), torch.Size([2, 32]))
    """

    def __init__(self, d_input: int, d_model: int, d_memory: int, score: str = "general") -> None:
        super().__init__(d_input, d_model, d_memory)
        self.attention = LuongAttention(d_model, d_memory, score)
        self.cell = nn.GRUCell(d_input + d_model, d_model)
        self.combine = nn.Linear(d_memory + d_model, d_model, bias=False)

    @property
    def d_state(self) -> int:
        """Width of the state that is passed from step to step: `h_t` and `h̃_t` side by side."""
        return 2 * self.d_model

    def _step(
        self, x: Tensor, state: Tensor, source: _Source, resumed: bool
    ) -> tuple[Tensor, Tensor]:
        hidden, fed = state.chunk(2, dim=-1)
        hidden = self.cell(torch.cat([x, fed], dim=-1), hidden)
        context = self._attend(hidden, source, resumed)
        output = torch.tanh(self.combine(torch.cat([context, hidden], dim=-1)))
        return output, torch.cat([hidden, output], dim=-1)


class _Source(NamedTuple):
    """What the decoder attends to: the values, their keys, and where it may look."""

    memory: Tensor  # (B, S, M)
    keys: Tensor  # (B, S, A)
    allowed: Tensor | None  # (B, S)
