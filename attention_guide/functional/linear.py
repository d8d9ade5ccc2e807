r"""Linear attention: a matrix of memory `(K, E)` in place of all keys and values.

One recurrence has them all: $S_t = \mathrm{diag}(e^{g_t}) S_{t-1} + k_t u_t^\top$ and
$o_t = \text{scale} \cdot S_t^\top q_t$, with no decay ($g = 0$) or a gate, and with $u_t = v_t$
or the delta rule's $u_t = \beta_t (v_t - \bar S_t^\top k_t)$, where $\bar S_t$ is the decayed
memory. The three forms below compute the same: one position after the other (`recurrent`), all
at once (`parallel`), or chunk by chunk (`chunked`).
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.functional.groups import fold_heads

__all__ = ["LinearForm", "elu_feature", "kernel_attention", "linear_attention"]

LinearForm = Literal["recurrent", "parallel", "chunked"]
"""How `linear_attention` is computed: token by token, all at once, or chunk by chunk."""


def elu_feature(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    r"""The feature map $\phi(x) = \mathrm{elu}(x) + 1$, which is positive everywhere.

    Args:
        x: Queries or keys.

    Returns:
        Features of the same shape.

    Raises:
        TypeError: It isn't floating point.

    Source:
        Katharopoulos et al. (2020), arXiv:2006.16236, equation 7.

    Examples:
        >>> elu_feature(torch.tensor([0.0, 1.0]))
        tensor([1., 2.])
    """
    return F.elu(_checks.floating("x", x)) + 1


def kernel_attention(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    v: Float[Tensor, "B G S E"],
    *,
    causal: bool = False,
    form: LinearForm = "chunked",
    chunk: int = 64,
) -> Float[Tensor, "B H T E"]:
    r"""Normalised kernel attention, $o_t = \sum_s w_{ts} v_s / \sum_s w_{ts}$.

    The weight is $w_{ts} = \phi(q_t)^\top \phi(k_s)$ with the features of `elu_feature`; the sums
    over keys are taken before the product with the query, so no weight is ever computed.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, S, K)`, where `G` divides `H`.
        v: Values, `(B, G, S, E)`.
        causal: Sum only up to the query's own position; needs `T = S`.
        form: How the causal sums are computed.
        chunk: Length of a chunk of the chunked form.

    Returns:
        Outputs, `(B, H, T, E)`: averages of the values, as with softmax; 0 without keys.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or number is wrong, or the form unknown.

    Cost:
        `O(B·H·(T + S)·K·E)`, linear in the length.

    Source:
        Katharopoulos et al. (2020), arXiv:2006.16236, equations 5 and 9.

    Examples:
        >>> q, k, v = torch.randn(3, 1, 1, 4, 2)
        >>> kernel_attention(q, k, torch.ones_like(v), causal=True).flatten()
        tensor([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    q, k = _checks.query_key(q, k)
    v = _checks.value(v, k)
    _check_form(form, chunk)
    if _checks.flag("causal", causal):
        return kernel_step(q, k, v, form=form, chunk=chunk)[0]
    padded = _with_ones(v)
    folded = fold_heads(elu_feature(q), k.shape[1]) @ (elu_feature(k).mT @ padded)
    return _averages(folded.reshape(*q.shape[:3], padded.shape[-1]))


def kernel_step(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G T K"],
    v: Float[Tensor, "B G T E"],
    state: Float[Tensor, "B G K F"] | None = None,
    *,
    form: LinearForm = "chunked",
    chunk: int = 64,
) -> tuple[Float[Tensor, "B H T E"], Float[Tensor, "B G K F"]]:
    """Causal `kernel_attention` that goes on from the sums so far.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, T, K)`.
        v: Values, `(B, G, T, E)`.
        state: The sums so far, `(B, G, K, F)` with F = E + 1: of values, and of ones.
        form: As in `linear_attention`.
        chunk: As in `linear_attention`.

    Returns:
        Outputs, `(B, H, T, E)`, and the sums after them, `(B, G, K, F)`.

    Examples:
        >>> q = k = v = torch.ones(1, 1, 2, 3)
        >>> out, state = kernel_step(q, k, v)
        >>> kernel_step(q, k, 3 * v, state)[0].flatten()  # averages of 1, 1, 3 and of 1, 1, 3, 3
        tensor([1.6667, 1.6667, 1.6667, 2.0000, 2.0000, 2.0000])
    """
    sums, state = linear_attention(
        elu_feature(q), elu_feature(k), _with_ones(v), state=state, scale=1.0, form=form,
        chunk=chunk,
    )  # fmt: skip
    return _averages(sums), state


def linear_attention(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G T K"],
    v: Float[Tensor, "B G T E"],
    *,
    decay: Float[Tensor, "B G T _"] | None = None,
    beta: Float[Tensor, "B _ T 1"] | None = None,
    state: Float[Tensor, "B G K E"] | None = None,
    scale: float | None = None,
    form: LinearForm = "chunked",
    chunk: int = 64,
) -> tuple[Float[Tensor, "B H T E"], Float[Tensor, "B G K E"]]:
    r"""Causal linear attention, $S_t = \mathrm{diag}(e^{g_t}) S_{t-1} + k_t u_t^\top$.

    Plain without `decay` and `beta`, gated with `decay`, the delta rule with `beta`, the gated
    delta rule with both. It doesn't normalise: see `kernel_attention`.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, T, K)`, where `G` divides `H`. The delta rule wants them of length 1.
        v: Values, `(B, G, T, E)`.
        decay: Logarithm of the gate, $g_t \le 0$: one a head `(B, G, T, 1)`, or one a key feature
            `(B, G, T, K)`.
        beta: How much of the old value is overwritten, `(B, G, T, 1)`, `G` may be 1.
        state: The memory before the first position, `(B, G, K, E)`; 0 when not given.
        scale: Multiplies the outputs; $1/\sqrt{K}$ when not given.
        form: `"recurrent"`, `"parallel"` or `"chunked"`: the same numbers at another cost.
        chunk: Length of a chunk.

    Returns:
        Outputs, `(B, H, T, E)`, and the memory after the last position, `(B, G, K, E)`.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or number is wrong, a decay is above 0, or the form unknown.

    Cost:
        Recurrent: `O(T·K·E)` in `T` steps. Parallel: `O(T²)` in one, with the gate's
        differences `T²·K` where each feature has its own. Chunked: parallel within a chunk,
        recurrent between them.

    Source:
        Gate: Yang et al. (2023), arXiv:2312.06635. Delta rule: Schlag et al. (2021),
        arXiv:2102.11174; its chunked form: Yang et al. (2024), arXiv:2406.06484; both together:
        Yang et al. (2024), arXiv:2412.06464.

    Examples:
        >>> q = k = torch.eye(2).view(1, 1, 2, 2)
        >>> v = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2)
        >>> out, memory = linear_attention(q, k, v, scale=1.0)
        >>> memory[0, 0]
        tensor([[1., 2.],
                [3., 4.]])
    """
    q, k = _checks.query_key(q, k)
    v = _checks.value(v, k)
    _checks.axis("k", k, 2, q.shape[2], "B G T K", "as in q")
    _check_gates(k, v, decay, beta, state)
    _check_form(form, chunk)
    factor = q.shape[3] ** -0.5 if scale is None else _checks.number("scale", scale)
    # The memory adds up over the whole text, so half precision accumulates in float32.
    kind = torch.float64 if q.dtype == torch.float64 else torch.float32
    batch, heads, t, width = q.shape
    groups = k.shape[1]
    queries = q.to(kind).reshape(batch, groups, heads // groups, t, width) * factor
    keys, values = k.to(kind), v.to(kind)
    gate = None if decay is None else decay.to(kind)
    rate = None if beta is None else beta.to(kind).expand(batch, groups, t, 1)
    memory = keys.new_zeros(batch, groups, width, v.shape[3]) if state is None else state.to(kind)
    step = {"recurrent": 1, "parallel": max(t, 1), "chunked": chunk}[form]
    outputs = []
    for start in range(0, t, step):
        here = slice(start, start + step)
        out, memory = _chunk(
            queries[:, :, :, here],
            keys[:, :, here],
            values[:, :, here],
            None if gate is None else gate[:, :, here],
            None if rate is None else rate[:, :, here],
            memory,
        )
        outputs.append(out)
    # Of no positions, too, the gradient finds its way to the queries.
    joined = torch.cat(outputs, dim=3) if outputs else queries @ memory.unsqueeze(2)
    return joined.reshape(batch, heads, t, v.shape[3]).to(q.dtype), memory


def _with_ones(v: Tensor) -> Tensor:
    # A column of ones among the values gives the sum of the weights at the price of one value.
    return torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)


def _averages(sums: Tensor) -> Tensor:
    weight = sums[..., -1:]
    return sums[..., :-1] / weight.masked_fill(weight == 0, 1.0)


def _chunk(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, beta: Tensor | None, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """All positions of a chunk at once; a chunk of one position is the recurrence itself."""
    total = None if decay is None else decay.cumsum(dim=-2)
    # What each position still sees of the memory from before the chunk.
    fade = torch.ones_like(k[..., :1]) if total is None else total.exp()
    if beta is not None:
        v = _corrected(k, v, total, beta, (k * fade) @ memory)
    out = (q * fade.unsqueeze(2)) @ memory.unsqueeze(2)
    scores = _faded_scores(q, k.unsqueeze(2), None if total is None else total.unsqueeze(2))
    out = out + scores.tril() @ v.unsqueeze(2)
    if total is None:
        return out, memory + k.mT @ v
    last = total[..., -1:, :]
    kept = k * (last - total).exp()
    return out, last.mT.exp() * memory + kept.mT @ v


def _corrected(
    k: Tensor, v: Tensor, total: Tensor | None, beta: Tensor, recalled: Tensor
) -> Tensor:
    # Each write corrects what the earlier writes of the chunk left, so the corrections solve a
    # unit triangular system: (I + diag(beta) strict_lower(k k^T)) u = beta (v - recalled).
    among = beta * _faded_scores(k, k, total).tril(-1)
    eye = torch.eye(k.shape[-2], dtype=k.dtype, device=k.device)
    corrected: Tensor = torch.linalg.solve_triangular(
        eye + among, beta * (v - recalled), upper=False, unitriangular=True
    )
    return corrected


def _faded_scores(q: Tensor, k: Tensor, total: Tensor | None) -> Tensor:
    """Products of queries with keys that have faded since they were written, in the lower half."""
    if total is None:
        return q @ k.mT
    # e^(a - b) with a <= b for every pair that is kept; e^a / e^b would overflow.
    since = (total.unsqueeze(-2) - total.unsqueeze(-3)).clamp(max=0.0)
    if total.shape[-1] == 1:
        return (q @ k.mT) * since.squeeze(-1).exp()
    return torch.einsum("...tk,...sk,...tsk->...ts", q, k, since.exp())


def _check_form(form: LinearForm, chunk: int) -> None:
    _checks.integer("chunk", chunk, least=1)
    if form not in get_args(LinearForm):
        raise ValueError(f"form: expected 'recurrent', 'parallel' or 'chunked'; got {form!r}")


def _check_gates(
    k: Tensor, v: Tensor, decay: Tensor | None, beta: Tensor | None, state: Tensor | None
) -> None:
    batch, groups, t, width = k.shape
    for name, x in (("decay", decay), ("beta", beta), ("state", state)):
        if x is not None:
            _checks.same_device(name, _checks.floating(name, x), "k", k)
    if decay is not None:
        _checks.rank("decay", decay, "B G T K")
        if decay.shape[:3] != k.shape[:3] or decay.shape[3] not in (1, width):
            raise ValueError(
                f"decay: expected (B, G, T, 1) or (B, G, T, K) = {tuple(k.shape)}; "
                f"got {_checks.shape(decay)}"
            )
        # Above 0 the forms would differ: within a chunk what has been written never grows.
        _checks.every("decay", ~(decay > 0), decay, "numbers of at most 0")
    if beta is not None:
        _checks.rank("beta", beta, "B G T 1")
        if tuple(beta.shape) not in ((batch, groups, t, 1), (batch, 1, t, 1)):
            raise ValueError(
                f"beta: expected (B, G, T, 1) = {(batch, groups, t, 1)}; got {_checks.shape(beta)}"
            )
    if state is not None:
        wanted = (batch, groups, width, v.shape[3])
        if tuple(state.shape) != wanted:
            raise ValueError(f"state: expected (B, G, K, E) = {wanted}; got {_checks.shape(state)}")
