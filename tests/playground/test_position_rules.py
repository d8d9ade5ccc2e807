"""What the positions figure draws, held against the package."""

from __future__ import annotations

import torch

from attention_guide.functional import (
    alibi_slopes,
    apply_rope,
    rope_frequencies,
    rope_tables,
    sinusoidal,
    t5_buckets,
)
from tests.playground.node import ask

_SCRIPT = """
const all = Array.from({ length: 513 }, (_, d) => d);
console.log(JSON.stringify({
  sinusoidal: all.map((d) => LivePositions.sinusoidal(d, 10000)),
  rope: all.map((d) => LivePositions.rope(d, 500000, 5)),
  alibi: LiveLayers.slopes(8).map((slope) => all.map((d) => LivePositions.alibi(d, slope))),
  bucket: Array.from({ length: 3000 }, (_, d) => LivePositions.bucket(d)),
  width: LivePositions.WIDTH,
}));
"""


def test_every_curve_is_the_packages() -> None:
    found = ask(_SCRIPT, "position-rules.js")
    width, places = found["width"], torch.arange(513)
    table = sinusoidal(513, width, dtype=torch.float64)
    cosine = torch.cosine_similarity(table, table[:1])
    assert torch.allclose(torch.tensor(found["sinusoidal"]).double(), cosine, atol=1e-6)
    frequencies = rope_frequencies(width, base=500_000)
    frequencies[5:] = 0
    cos, sin = rope_tables(places, frequencies, dtype=torch.float64)
    ones = torch.ones(1, 1, 513, width, dtype=torch.float64)
    turned = apply_rope(ones, cos, sin)[0, 0]
    share = turned @ turned[0] / width
    assert torch.allclose(torch.tensor(found["rope"]).double(), share, atol=1e-6)
    lean = -alibi_slopes(8)[:, None] * places
    assert torch.allclose(torch.tensor(found["alibi"]), lean, atol=1e-5)
    assert found["bucket"] == t5_buckets(-torch.arange(3000), causal=True).tolist()
