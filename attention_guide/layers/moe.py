"""Mixture of experts: many feed-forwards, a few of them for each token, and an even load."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import (
    check_below,
    check_made,
    check_sequence,
    check_sizes,
    check_width,
)


class Routing(NamedTuple):
    """Where a batch of N tokens went.

    Attributes:
        probabilities: The router's softmax over all X experts, `(N, X)`.
        chosen: The A experts of each token, `(N, A)`.
        weights: What each chosen expert's output is multiplied by, `(N, A)`.

    Examples:
        >>> from attention_guide.layers import FeedForward
        >>> layer = MixtureOfExperts(8, [FeedForward(8, 16) for _ in range(4)])
        >>> layer.route(torch.randn(10, 8)).probabilities.shape
        torch.Size([10, 4])
    """

    probabilities: Float[Tensor, "N X"]
    chosen: Int[Tensor, "N A"]
    weights: Float[Tensor, "N A"]


class MixtureOfExperts(nn.Module):
    r"""Mixture of experts, $y = \sum_{i \in \text{top}_A} g_i \, \mathrm{expert}_i(x)$.

    The router's softmax picks A experts for each token and weighs them. `routing` keeps the last
    forward's choices, from which `load_balancing_loss` makes the term that evens them out.

    Args:
        d_model: Width D of the residual stream.
        experts: The X feed-forwards, `(N, D)` → `(N, D)`: `FeedForward`, `GatedFeedForward`.
        n_active: Experts A for each token.
        shared: One more that every token goes through, with weight 1; `None` for none.
        renormalise: Divide the chosen experts' weights by their sum. Without it, and with one
            active expert, the router learns through the size of its probability.

    Raises:
        ValueError: `n_active` isn't between 1 and X.

    Cost:
        A experts' flops a token, with X experts' weights in memory.

    Source:
        Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated
        Mixture-of-Experts Layer", 2017, arXiv:1701.06538, without its noise;
        renormalised top 2: Jiang et al., "Mixtral of Experts", arXiv:2401.04088;
        one expert, not renormalised: Fedus, Zoph and Shazeer, "Switch Transformers", 2021,
        arXiv:2101.03961; shared experts: Dai et al., "DeepSeekMoE", 2024,
        arXiv:2401.06066.

    Examples:
        >>> from attention_guide.layers import GatedFeedForward
        >>> layer = MixtureOfExperts(8, [GatedFeedForward(8, 16) for _ in range(4)], n_active=2)
        >>> layer(torch.randn(2, 5, 8)).shape, layer.routing.chosen.shape
        (torch.Size([2, 5, 8]), torch.Size([10, 2]))
    """

    routing: Routing | None

    def __init__(
        self,
        d_model: int,
        experts: Iterable[nn.Module],
        n_active: int = 2,
        *,
        shared: nn.Module | None = None,
        renormalise: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(d_model=d_model, n_active=n_active)
        _checks.flag("renormalise", renormalise)
        _checks.instance("experts", experts, Iterable)
        experts = list(experts)
        for place, expert in enumerate(experts):
            _checks.instance(f"experts[{place}]", expert, nn.Module)
        if shared is not None:
            _checks.instance("shared", shared, nn.Module)
        self.experts = nn.ModuleList(experts)
        if n_active > len(self.experts):
            raise ValueError(f"n_active: expected 1 to {len(self.experts)}; got {n_active}")
        self.router = nn.Linear(d_model, len(self.experts), bias=False)
        self.n_active = n_active
        self.shared = shared
        self.renormalise = renormalise
        self.routing = None

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Send each token of `x`, `(..., D)`, through its experts."""
        check_width("x", x, self.router.in_features, self.router.weight)
        tokens = x.reshape(-1, x.shape[-1])
        self.routing = routing = self.route(tokens)
        out = torch.zeros_like(tokens)
        if self.shared is not None:
            out = check_made("shared", self.shared(tokens), tokens)
        for index, expert in enumerate(self.experts):
            rows, slots = torch.where(routing.chosen == index)
            if rows.numel():
                weight = routing.weights[rows, slots, None].to(x.dtype)
                made = check_made(f"experts[{index}]", expert(tokens[rows]), tokens[rows])
                out = out.index_add(0, rows, (weight * made).to(out.dtype))
        return out.view_as(x)

    def route(self, tokens: Float[Tensor, "N D"]) -> Routing:
        """Choose experts for each token, `(N, D)`."""
        check_sequence("tokens", tokens, self.router.in_features, "N D", self.router.weight)
        # At least in float32: the order of near-equal probabilities decides who computes.
        logits = self.router(tokens)
        probabilities = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(dim=-1)
        weights, chosen = probabilities.topk(self.n_active, dim=-1)
        if self.renormalise:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return Routing(probabilities, chosen, weights)


def load_balancing_loss(
    probabilities: Float[Tensor, "N X"], chosen: Int[Tensor, "N A"]
) -> Float[Tensor, ""]:
    r"""Balance loss, $X \sum_i f_i P_i$: 1 where the load is even, X where one expert has it all.

    $f_i$ is the share of choices that fell on expert i, $P_i$ the mean probability that the
    router gave it. Only $P$ has a gradient: it pushes probability away from busy experts.

    Args:
        probabilities: The router's softmax, `(N, X)`.
        chosen: The experts of each token, `(N, A)`.

    Returns:
        A scalar, to be added to the loss with a small factor (0.01 in the paper); 0 where there
        are no tokens.

    Raises:
        TypeError: `probabilities` isn't floating point, or `chosen` not integer.
        ValueError: A shape is wrong, or (on CPU) an expert isn't one of the X.

    Source:
        Fedus, Zoph and Shazeer, "Switch Transformers", 2021, arXiv:2101.03961; the
        mean over A choices is the usual extension to A above 1.

    Examples:
        >>> even = torch.full((4, 2), 0.5)
        >>> load_balancing_loss(even, torch.tensor([[0], [1], [0], [1]]))
        tensor(1.)
    """
    _checks.rank("probabilities", _checks.floating("probabilities", probabilities), "N X")
    _checks.rank("chosen", _checks.integral("chosen", chosen), "N A")
    _checks.axis("chosen", chosen, 0, probabilities.shape[0], "N A", "as in probabilities")
    _checks.same_device("chosen", chosen, "probabilities", probabilities)
    n_tokens, n_experts = probabilities.shape
    check_below("chosen", chosen, n_experts, "X")
    counts = torch.bincount(chosen.flatten(), minlength=n_experts).to(probabilities.dtype)
    share = counts / max(chosen.numel(), 1)
    return n_experts * (share * probabilities.sum(dim=0)).sum() / max(n_tokens, 1)


def balance_loss(model: nn.Module) -> Float[Tensor, ""]:
    """The mean `load_balancing_loss` of every mixture of experts in a model, for its last forward.

    Args:
        model: Any module with `MixtureOfExperts` inside that has run.

    Returns:
        A scalar.

    Raises:
        ValueError: There is none that has run.
        TypeError: `model` isn't a module.

    Examples:
        >>> from attention_guide.layers import FeedForward
        >>> model = MixtureOfExperts(8, [FeedForward(8, 16) for _ in range(4)])
        >>> _ = model(torch.randn(2, 5, 8))
        >>> balance_loss(model).shape
        torch.Size([])
    """
    _checks.instance("model", model, nn.Module)
    layers = [m for m in model.modules() if isinstance(m, MixtureOfExperts) and m.routing]
    if not layers:
        raise ValueError("model: expected a MixtureOfExperts that has run; got none")
    losses = [
        load_balancing_loss(layer.routing.probabilities, layer.routing.chosen)
        for layer in layers
        if layer.routing is not None
    ]
    return torch.stack(losses).mean()
