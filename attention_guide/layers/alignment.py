"""Attention before the Transformer: one query, a decoder's state, against a memory."""

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_guide.functional import _checks, masked_softmax
from attention_guide.layers._check import check_choice, check_dtype, check_sequence, check_sizes

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
        """`U h_j`, `(B, S, A)`: what the memory `(B, S, M)` is compared by, once a sentence."""
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

    @property
    def _weight(self) -> Tensor | None:
        return None if self.score == "dot" else self.k_proj.weight

    def keys(self, memory: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """What the memory `(B, S, M)` is compared by, `(B, S, A)`, computed once a sentence."""
        check_sequence("memory", memory, self.d_memory, "B S M", self._weight)
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
        """Weights of one query for each sentence; the context is `weights @ memory`.

        Args:
            query: Shape `(B, Q)`.
            keys: What `keys(memory)` gave, shape `(B, S, A)`.
            mask: True where the memory may be attended to, shape `(B, S)`.

        Returns:
            The weights `(B, S)`; a row that may attend nowhere is all zeros.

        Raises:
            ValueError: A shape or device that doesn't fit.
            TypeError: A dtype that doesn't fit.
        """
        check_sequence("query", query, self.d_query, "B Q", self._weight)
        _check_keys(query, keys, self.d_query, mask)
        if self.score == "concat":
            scores = torch.tanh(self.q_proj(query).unsqueeze(1) + keys) @ self.direction
        else:
            scores = torch.einsum("bq,bsq->bs", query, keys)
        return masked_softmax(scores.unsqueeze(1), _row(mask)).squeeze(1)


def _check_keys(query: Tensor, keys: Tensor, width: int, mask: Tensor | None) -> None:
    check_sequence("keys", keys, width, "B S A")
    check_dtype("keys", keys, query, "query")
    _checks.axis("keys", keys, 0, query.shape[0], "B S A", "as in query")
    if mask is not None and _checks.boolean("mask", mask).shape != keys.shape[:2]:
        raise ValueError(
            f"mask: expected (B, S) = {tuple(keys.shape[:2])}; got {_checks.shape(mask)}"
        )


def _row(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask.unsqueeze(1)
