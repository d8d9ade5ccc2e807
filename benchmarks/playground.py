"""The playground's engine in Chromium: a full pass, a cached token, the first answer.

A decoder of random weights, 0.84 million parameters: d 128, 4 layers, 4 heads, 64 tokens.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Page, sync_playwright

from book.playground import FOLDER, write

ENGINE = ("kernel.js", "weights.js", "layers.js", "blocks.js", "model.js")
D, LAYERS, FEED, VOCABULARY, TOKENS = 128, 4, 512, 320, 64
# Milliseconds: a full pass, a cached token, the first answer.
BARS = {"wasm": (6.0, 0.5, 300.0), "javascript": (20.0, 1.0, 300.0)}

_FIRST = """([text, kernel]) => {
  const started = performance.now();
  (0, eval)(text);
  globalThis.model = new LiveModel.Model(LiveWeights.get("speed"), { kernel });
  globalThis.ids = Array.from({ length: 64 }, (_, i) => (i * 37) % 320);
  model.extend(ids);
  return [performance.now() - started, model.kernel];
}"""
_STEADY = """rounds => {
  const time = (act, inner) => {
    const found = [];
    for (let i = 0; i < rounds; i++) {
      const started = performance.now();
      for (let j = 0; j < inner; j++) act();
      found.push((performance.now() - started) / inner);
    }
    found.sort((a, b) => a - b);
    return [found[0], found[rounds >> 1], found[Math.floor(rounds * 0.95)]];
  };
  const full = () => { model.truncate(0); model.extend(ids); };
  const token = () => { model.truncate(63); model.extend([7]); };
  time(full, 1);
  return [time(full, 1), time(token, 20)];
}"""


def weights(folder: Path) -> tuple[Path, int]:
    """Write the random decoder; its file and its number of parameters."""
    torch.manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (VOCABULARY, D)}
    shapes["positions.weight"] = (TOKENS, D)
    for i in range(LAYERS):
        block = f"blocks.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes[f"{block}.self_attention.{name}.weight"] = (D, D)
            shapes[f"{block}.self_attention.{name}.bias"] = (D,)
        for name, rows, columns in (("up_proj", FEED, D), ("down_proj", D, FEED)):
            shapes[f"{block}.feed_forward.{name}.weight"] = (rows, columns)
            shapes[f"{block}.feed_forward.{name}.bias"] = (rows,)
        for name in ("attention_residual", "feed_forward_residual"):
            shapes |= {f"{block}.{name}.norm.{part}": (D,) for part in ("weight", "bias")}
    shapes |= {f"norm.{part}": (D,) for part in ("weight", "bias")}
    state = {name: torch.randn(shape) * D**-0.5 for name, shape in shapes.items()}
    config = {
        "family": "decoder", "d_model": D, "n_heads": 4, "d_ff": FEED, "n_layers": LAYERS,
        "max_len": TOKENS, "norm": "layer", "norm_first": True, "activation": "gelu",
        "positions": "learned", "embedding_scale": 1.0,
    }  # fmt: skip
    path = write(folder / "speed.js", state, config, precision="int8")
    return path, sum(tensor.numel() for tensor in state.values())


def measure(page: Page, script: str, kernel: str, rounds: int) -> dict[str, Any]:
    """In a fresh page: the first answer, then the passes, each fastest, median, 95th percentile."""
    page.goto("about:blank")
    for name in ENGINE:
        page.add_script_tag(path=str(FOLDER / name))
    first, used = page.evaluate(_FIRST, [script, kernel])
    full, token = page.evaluate(_STEADY, rounds)
    return {"kernel": used, "first": first, "full": full, "token": token}


def main(rounds: int = 100) -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path, parameters = weights(Path(folder))
        script = path.read_text()
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        print(f"Chromium {browser.version}, {parameters / 1e6:.2f} M parameters, {TOKENS} tokens")
        print("milliseconds: fastest / median / 95th percentile of", rounds)
        for kernel, bars in BARS.items():
            found = measure(browser.new_page(), script, kernel, rounds)
            assert found["kernel"] == kernel, found
            for name, bar in zip(("full", "token"), bars, strict=False):
                low, middle, high = found[name]
                print(f"{kernel:10} {name:5} {low:7.3f} {middle:7.3f} {high:7.3f}   bar {bar}")
            print(f"{kernel:10} first answer {found['first']:.0f}   bar {bars[2]:.0f}")
        browser.close()


if __name__ == "__main__":
    main()
