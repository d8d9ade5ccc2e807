"""Rollout and flow: hand-checked cases, conservation, and the one never above the other."""

from __future__ import annotations

import networkx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_guide import AttentionRecorder
from attention_guide.explain import attention_flow, max_flow, mixing, rollout
from attention_guide.models import Transformer, TransformerConfig

few = settings(max_examples=25, deadline=None, derandomize=True)
D = torch.float64


def random_maps(seed: int, layers: int, batch: int, heads: int, size: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(layers, batch, heads, size, size, dtype=D, generator=generator)
    return list(scores.softmax(-1))


shapes = st.tuples(
    st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 2), st.integers(1, 3),
    st.integers(1, 5),
)  # fmt: skip


@few
@given(shapes)
def test_a_row_of_the_rollout_is_a_distribution(shape):
    rolled = rollout(random_maps(*shape))
    assert (rolled >= 0).all()
    torch.testing.assert_close(rolled.sum(-1), torch.ones_like(rolled.sum(-1)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_rollout_of_coarse_maps_is_no_coarser(dtype):
    rolled = rollout([weights.to(dtype) for weights in random_maps(0, 12, 1, 4, 64)])
    assert rolled.dtype == torch.float32
    torch.testing.assert_close(rolled.sum(-1), torch.ones(1, 64), rtol=0, atol=1e-5)


def test_rollout_is_the_product_written_out():
    maps = random_maps(0, 3, 2, 4, 5)
    expected = torch.eye(5, dtype=D).expand(2, 5, 5)
    for weights in maps:
        expected = (0.5 * weights.mean(1) + 0.5 * torch.eye(5, dtype=D)) @ expected
    torch.testing.assert_close(rollout(maps), expected, rtol=0, atol=1e-15)


def test_rollout_of_a_causal_stack_sees_no_future():
    maps = [weights.tril() for weights in random_maps(1, 3, 1, 2, 6)]
    assert torch.equal(rollout(maps).triu(1), torch.zeros(1, 6, 6, dtype=D))


def test_a_query_that_sees_nothing_keeps_itself_and_needs_a_residual():
    nowhere = torch.zeros(1, 1, 2, 2, dtype=D)
    assert torch.equal(rollout([nowhere])[0], torch.eye(2, dtype=D))
    with pytest.raises(ValueError, match="attends nowhere"):
        rollout([nowhere], residual=0.0)


def test_all_residual_is_the_identity_and_none_is_the_bare_product():
    maps = random_maps(2, 2, 1, 1, 3)
    torch.testing.assert_close(rollout(maps, residual=1.0)[0], torch.eye(3, dtype=D))
    bare = maps[1][:, 0] @ maps[0][:, 0]
    torch.testing.assert_close(rollout(maps, residual=0.0), bare)


def test_the_flow_of_one_layer_is_its_mixing():
    maps = random_maps(3, 1, 2, 2, 4)
    torch.testing.assert_close(attention_flow(maps), mixing(maps)[0])


@few
@given(shapes)
def test_flow_is_between_the_rollout_and_the_width_of_the_ends(shape):
    maps = random_maps(*shape)
    flow, mixed = attention_flow(maps), mixing(maps)
    assert (flow >= rollout(maps) - 1e-9).all()
    assert (flow <= 1 + 1e-9).all()  # the row that leaves the output token sums to 1
    into = mixed[0].sum(1)  # what the pipes into an input token can carry
    assert (flow <= into[:, None, :] + 1e-9).all()


def test_flow_equals_networkx():
    maps = random_maps(4, 3, 1, 2, 4)
    graph = networkx.DiGraph()
    for depth, layer in enumerate(mixing(maps)):
        for above in range(4):
            for below in range(4):
                width = float(layer[0, above, below])
                graph.add_edge((depth + 1, above), (depth, below), capacity=width)
    expected = [
        [networkx.maximum_flow_value(graph, (3, t), (0, s)) for s in range(4)] for t in (3, 1)
    ]
    flow = attention_flow(maps, queries=[3, 1])
    torch.testing.assert_close(flow[0], torch.tensor(expected, dtype=D), rtol=0, atol=1e-10)


@few
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.floats(0, 9, allow_nan=False)),
        max_size=30,
    )
)
def test_max_flow_equals_networkx_on_any_graph(pipes):
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(7))
    for start, end, width in pipes:
        before = graph.get_edge_data(start, end, {"capacity": 0.0})["capacity"]
        if start != end:
            graph.add_edge(start, end, capacity=before + width)
    expected = networkx.maximum_flow_value(graph, 0, 6)
    assert max_flow(pipes, 0, 6) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1e-13, 1.0, 1e200])
def test_no_pipe_is_too_narrow(scale):
    pipes = [(0, 1, 3.0 * scale), (0, 2, 2.0 * scale), (1, 3, 2.0 * scale), (2, 3, 4.0 * scale)]
    assert max_flow([*pipes, (1, 2, 5.0 * scale)], 0, 3) == pytest.approx(
        5 * scale, rel=1e-12, abs=0
    )
    assert max_flow([(0, 1, 1e9 * scale), (1, 2, 1e-6 * scale)], 0, 2) == 1e-6 * scale


def test_a_weight_that_is_tiny_still_flows():
    weights = torch.tensor([[[[1.0, 1e-15], [0.0, 1.0]]]], dtype=D)
    assert attention_flow([weights], residual=0.0)[0, 0, 1].item() == pytest.approx(
        1e-15, rel=1e-12, abs=0
    )


def test_rounding_never_keeps_the_water_running():
    generator = torch.Generator().manual_seed(0)
    widths = 10.0 ** torch.randint(-17, 3, (12, 12), generator=generator).double() / 3
    pipes = [(i, j, float(widths[i, j])) for i in range(12) for j in range(12) if i != j]
    graph = networkx.DiGraph()
    graph.add_weighted_edges_from(pipes, weight="capacity")
    expected = networkx.maximum_flow_value(graph, 0, 11)
    assert max_flow(pipes, 0, 11) == pytest.approx(expected, rel=1e-12, abs=0)


def test_the_recorder_s_maps_go_in_as_they_are():
    torch.manual_seed(0)
    config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=2)
    model = Transformer(config).eval()
    with AttentionRecorder(model, match="encoder") as maps:
        model.encode(torch.tensor([[5, 6, 7, 2], [5, 2, 0, 0]]))
    rolled = rollout(maps.values())
    assert rolled.shape == (2, 4, 4)
    assert torch.equal(rolled[1, :2, 2:], torch.zeros(2, 2))  # nothing comes out of padding
    assert attention_flow(maps.values(), queries=[0]).shape == (2, 1, 4)


@pytest.mark.parametrize("method", [rollout, attention_flow, mixing])
@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([], ValueError, "one or more maps"),
        (torch.ones(1, 1, 2, 2), ValueError, "sequence of one or more"),
        ([torch.ones(2, 2)], ValueError, r"layers\[0\]: expected \(B, H, T, T\)"),
        ([torch.ones(1, 1, 2, 3)], ValueError, "self-attention"),
        ([torch.ones(1, 1, 0, 0)], ValueError, "self-attention"),
        ([torch.ones(1, 1, 2, 2), torch.ones(1, 1, 3, 3)], ValueError, r"layers\[1\]"),
        ([torch.full((1, 1, 2, 2), float("nan"))], ValueError, "negative ones or NaN"),
        ([-torch.ones(1, 1, 2, 2)], ValueError, "negative ones or NaN"),
        ([torch.ones(1, 1, 2, 2, dtype=torch.int64)], TypeError, "floating-point"),
        (["no tensor"], TypeError, "torch.Tensor"),
        (3, TypeError, "layers: expected a sequence"),
        (
            [torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2, dtype=D)],
            TypeError,
            r"layers\[1\]: expected torch.float32",
        ),
    ],
)
def test_wrong_maps_are_named(method, layers, error, message):
    with pytest.raises(error, match=message):
        method(layers)


def test_wrong_numbers_are_named():
    maps = random_maps(0, 1, 1, 1, 2)
    with pytest.raises(ValueError, match="residual"):
        rollout(maps, residual=1.5)
    with pytest.raises(ValueError, match="queries"):
        attention_flow(maps, queries=[2])
    with pytest.raises(TypeError, match="queries: expected a sequence of ints"):
        attention_flow(maps, queries=1)
    with pytest.raises(TypeError, match="queries: expected an int"):
        attention_flow(maps, queries=[1.0])
    with pytest.raises(ValueError, match="drain"):
        max_flow([(0, 1, 1.0)], 1, 1)
    with pytest.raises(ValueError, match="pipes"):
        max_flow([(0, 1, float("nan"))], 0, 1)
