"""The playground's engine in Chromium: a full pass, a cached token, the first answer.

The model is the one that the GPT explorer loads, read by 64 tokens of Python's help; and the real
BERT, where its weights are laid, on 64 tokens of the same.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, sync_playwright

from attention_guide.checkpoints import load_own
from attention_guide.data.corpora import pydoc_topics
from attention_guide.recipes.topics import CHECKPOINT
from benchmarks._results import write
from book import minilm, setup, weights
from book.playground import FOLDER, MODELS

ENGINE = ("kernel.js", "weights.js", "layers.js", "blocks.js", "model.js")
TOKENS = 64
# Milliseconds: a full pass, a cached token, the first answer.
FAST, PLAIN = (6.0, 0.5, 300.0), (20.0, 1.0, 300.0)
BARS = {"fused": FAST, "wasm": FAST, "javascript": PLAIN}

_FIRST = """([text, name, kernel, ids]) => {
  const started = performance.now();
  (0, eval)(text);
  globalThis.model = new LiveModel.Model(LiveWeights.get(name), { kernel });
  globalThis.ids = ids;
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
_BERT = """async rounds => {
  const { index } = LiveBert.site;
  const abort = new AbortController();
  const options = { signal: abort.signal, progress: () => {} };
  const { bytes } = await LiveShards.load(new URL("minilm/", location.href), index.shards, options);
  const started = performance.now();
  const model = new LiveBert.Bert(index, bytes);
  const ready = performance.now() - started;
  const ids = model.tokenizer.encode(TEXT, 64);
  const found = [];
  for (let i = 0; i <= rounds; i++) {
    const began = performance.now();
    model.read(ids, { trace: new Map() });
    found.push(performance.now() - began);
  }
  found.shift();
  found.sort((a, b) => a - b);
  const low = [found[0], found[rounds >> 1], found[Math.floor(rounds * 0.95)]];
  return { tokens: ids.length, kernel: model.m.kind, ready, pass: low };
}"""
BERT_BAR = 80.0


def measure_bert(page: Page, text: str, rounds: int) -> dict[str, Any]:
    """The real BERT: unpacking its shards, then passes that keep every head's map."""
    address = "http://bert.test/"
    found = minilm.files()
    page.route(address, lambda route: route.fulfill(body="<!doctype html>"))
    page.route(
        f"{address}minilm/*",
        lambda route: route.fulfill(path=found[route.request.url.rpartition("/")[2]]),
    )
    page.goto(address)
    for name in (*ENGINE, "wordpiece.js", "bert-model.js", "bert-files.js"):
        page.add_script_tag(path=str(FOLDER / name))
    page.add_script_tag(url=f"{address}minilm/index.js")
    page.evaluate("text => { globalThis.TEXT = text; }", text)
    return page.evaluate(_BERT, rounds)  # type: ignore[no-any-return]


def measure(page: Page, script: str, kernel: str, ids: list[int], rounds: int) -> dict[str, Any]:
    """In a fresh page: the first answer, then the passes, each fastest, median, 95th percentile."""
    page.goto("about:blank")
    for name in ENGINE:
        page.add_script_tag(path=str(FOLDER / name))
    first, used = page.evaluate(_FIRST, [script, CHECKPOINT, kernel, ids])
    full, token = page.evaluate(_STEADY, rounds)
    return {"kernel": used, "first": first, "full": full, "token": token}


def row(what: str, kernel: str, times: list[float], bar: float) -> dict[str, Any]:
    """A row of fastest, median and 95th percentile; the bar is the median's."""
    digits = [float(f"{x:.3g}") for x in times]
    print(f"{kernel:10} {what:28} {digits}   bar {bar:g}")
    return {"what": what, "kernel": kernel, "milliseconds": digits, "bar": bar,
            "met": sorted(times)[len(times) // 2] <= bar}  # fmt: skip


def main(rounds: int = 100) -> None:
    """A row for each kernel and pass, and one for the real BERT."""
    own = load_own(CHECKPOINT)
    text = pydoc_topics().validation[0]
    ids = [own.vocabulary.eos_id, *own.vocabulary.encode(text)][:TOKENS]
    parameters = sum(parameter.numel() for parameter in own.model.parameters())
    script = (MODELS / f"{CHECKPOINT}.js").read_text("utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=setup.browser(), args=["--no-sandbox", "--disable-gpu"]
        )
        print(f"Chromium {browser.version}, {parameters / 1e6:.2f} M parameters, {TOKENS} tokens")
        print("milliseconds: fastest, median, 95th percentile of", rounds)
        rows = []
        for kernel, bars in BARS.items():
            found = measure(browser.new_page(), script, kernel, ids, rounds)
            assert found["kernel"] == kernel, found
            rows += [
                row("GPT explorer, 64 tokens", kernel, found["full"], bars[0]),
                row("GPT explorer, a cached token", kernel, found["token"], bars[1]),
                row("GPT explorer, first answer", kernel, [found["first"]], bars[2]),
            ]
        if weights.laid():
            bert = measure_bert(browser.new_page(), text, rounds)
            print(f"all-MiniLM-L6-v2, {bert['tokens']} tokens, unpacked in {bert['ready']:.0f} ms")
            rows.append(row("all-MiniLM-L6-v2, 64 tokens", bert["kernel"], bert["pass"], BERT_BAR))
        write("playground", rows, browser=f"Chromium {browser.version}")
        browser.close()


if __name__ == "__main__":
    main()
