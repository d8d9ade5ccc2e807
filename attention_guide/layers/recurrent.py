"""Recurrent decoders that attend: Bahdanau's (before the step) and Luong's (after it)."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_guide.functional import _checks, masked_softmax
from attention_guide.layers._check import check_choice, check_sequence, check_sizes
from attention_guide.layers.heads import WeightRecorder

LUONG_SCORES: Final = ("dot", "general", "concat")


class AdditiveAttention(nn.Module):
    """`a_ij = softmax_j(vᵀ tanh(W s_i + U h_j))`, `c_i = Σ_j a_ij h_j`: Bahdanau's attention.

    `U h_j` doesn't depend on the query. `keys()` computes it once for a whole sentence, as the
    paper does; a decoder then asks once a step.

    Args:
        d_query: Width of the queries `s_i`.
        d_memory: Width of the memory `h_j`, which gives keys and values.
        d_attention: Width of the hidden layer between them.

    Source:
        Bahdanau et al. (2015), section A.1.2. `W`, `U`, `v` are the paper's `W_a`, `U_a`, `v_a`.

    Examples:
        >>> attend = AdditiveAttention(d_query=4, d_memory=6, d_attention=5)
        >>> memory = torch.randn(2, 7, 6)
        >>> attend(torch.randn(2, 4), attend.keys(memory)).shape
        torch.Size([2, 7])
    """

    def __init__(self, d_query: int, d_memory: int, d_attention: int) -> None:
        super().__init__()
        check_sizes(d_query=d_query, d_memory=d_memory, d_attention=d_attention)
        self.q_proj = nn.Linear(d_query, d_attention, bias=False)
        self.k_proj = nn.Linear(d_memory, d_attention)
        self.score = nn.Parameter(torch.empty(d_attention))
        nn.init.uniform_(self.score, -(d_attention**-0.5), d_attention**-0.5)

    def keys(self, memory: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """`U h_j`: what the memory is compared by, computed once a sentence."""
        weight = self.k_proj.weight
        check_sequence("memory", memory, self.k_proj.in_features, "B S M", weight)
        keys: Tensor = self.k_proj(memory)
        return keys

    def forward(
        self,
        query: Float[Tensor, "B Q"],
        keys: Float[Tensor, "B S A"],
        mask: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B S"]:
        """Weights of one query for each sentence; the context is `weights @ memory`.

        Args:
            query: Shape `(B, Q)`.
            keys: What `keys(memory)` gave, shape `(B, S, A)`.
            mask: True where the memory may be attended to, shape `(B, S)`.

        Returns:
            The weights `(B, S)`; a row that may attend nowhere is all zeros.

        Raises:
            ValueError: A shape that doesn't fit.
            TypeError: A dtype that doesn't fit.
        """
        check_sequence("query", query, self.q_proj.in_features, "B Q", self.q_proj.weight)
        _check_keys(query, keys, self.score.shape[0], mask)
        scores = torch.tanh(self.q_proj(query).unsqueeze(1) + keys) @ self.score
        return masked_softmax(scores.unsqueeze(1), _row(mask)).squeeze(1)


class LuongAttention(nn.Module):
    """`a_t = softmax(score(h_t, h̄_s))`: `h_tᵀh̄_s`, `h_tᵀWh̄_s` or `vᵀ tanh(W[h_t; h̄_s])`.

    Args:
        d_query: Width of the queries `h_t`.
        d_memory: Width of the memory `h̄_s`; for `"dot"` the same as `d_query`.
        score: `"dot"`, `"general"` or `"concat"`.

    Raises:
        ValueError: An unknown score, or `"dot"` with two widths.

    Source:
        Luong et al. (2015), section 3.1. As `W[h; h̄]` is `W_1 h + W_2 h̄`, `"concat"` is the
        additive score of Bahdanau et al. without a bias.

    Examples:
        >>> attend = LuongAttention(d_query=4, d_memory=6)
        >>> memory = torch.randn(2, 7, 6)
        >>> attend(torch.randn(2, 4), attend.keys(memory)).shape
        torch.Size([2, 7])
    """

    def __init__(self, d_query: int, d_memory: int, score: str = "general") -> None:
        super().__init__()
        check_sizes(d_query=d_query, d_memory=d_memory)
        check_choice("score", score, LUONG_SCORES)
        if score == "dot" and d_query != d_memory:
            raise ValueError(
                f"score: 'dot' needs queries as wide as the memory, got {d_query} and {d_memory}"
            )
        self.d_query, self.d_memory = d_query, d_memory
        self.score = score
        if score != "dot":
            self.k_proj = nn.Linear(d_memory, d_query, bias=False)
        if score == "concat":
            self.q_proj = nn.Linear(d_query, d_query, bias=False)
            self.direction = nn.Parameter(torch.empty(d_query))
            nn.init.uniform_(self.direction, -(d_query**-0.5), d_query**-0.5)

    def keys(self, memory: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """What the memory is compared by, computed once a sentence."""
        weight = None if self.score == "dot" else self.k_proj.weight
        check_sequence("memory", memory, self.d_memory, "B S M", weight)
        if self.score == "dot":
            return memory
        keys: Tensor = self.k_proj(memory)
        return keys

    def forward(
        self,
        query: Float[Tensor, "B Q"],
        keys: Float[Tensor, "B S A"],
        mask: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B S"]:
        """Weights of one query for each sentence; see `AdditiveAttention.forward`."""
        weight = self.q_proj.weight if self.score == "concat" else None
        check_sequence("query", query, self.d_query, "B Q", weight)
        _check_keys(query, keys, self.d_query, mask)
        if self.score == "concat":
            scores = torch.tanh(self.q_proj(query).unsqueeze(1) + keys) @ self.direction
        else:
            scores = torch.einsum("bq,bsq->bs", query, keys)
        return masked_softmax(scores.unsqueeze(1), _row(mask)).squeeze(1)


class _AttentiveDecoder(nn.Module):
    """The loop over target positions that both decoders share."""

    # Shadowed on chosen layers while an AttentionRecorder watches: nothing is paid when it is off.
    recorder: WeightRecorder | None = None
    attention: AdditiveAttention | LuongAttention

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
            The outputs `(B, T, d_model)` and the last state `(B, N)`. Decoding one token at a
            time, pass the state back in.

        Raises:
            ValueError: A shape doesn't fit.
            TypeError: A tensor isn't floating point, or the mask isn't bool.
        """
        batch = self._check(inputs, memory, state, mask)
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
        check_sequence("inputs", inputs, self.d_input)
        check_sequence("memory", memory, self.d_memory, "B S M")
        batch, positions = memory.shape[0], memory.shape[1]
        if inputs.shape[0] != batch or inputs.shape[1] == 0:
            raise ValueError(
                f"inputs: expected (B, T, D) with B = {batch} and T > 0, got {tuple(inputs.shape)}"
            )
        if state is not None:
            check_sequence("state", state, self.d_state, "B N")
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


def _check_keys(query: Tensor, keys: Tensor, width: int, mask: Tensor | None) -> None:
    check_sequence("keys", keys, width, "B S A")
    _checks.axis("keys", keys, 0, query.shape[0], "B S A", "as in query")
    if mask is not None and _checks.boolean("mask", mask).shape != keys.shape[:2]:
        raise ValueError(
            f"mask: expected (B, S) = {tuple(keys.shape[:2])}; got {_checks.shape(mask)}"
        )


def _row(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask.unsqueeze(1)
