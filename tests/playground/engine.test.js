"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { test } = require("node:test");
const vm = require("node:vm");
const { ENGINE, FOLDER, load } = require("./engine.js");

load(...ENGINE, "models/number-words-transformer.js");
const file = LiveWeights.get("number-words-transformer");
const model = new LiveModel.Model(file);
const encode = (text) => text.split(" ").map((piece) => file.vocabulary.indexOf(piece));
const SOURCE = [...encode("<2en> ein und zwanzig"), 2];

test("half precision: every kind of number", () => {
  const { half } = LiveWeights;
  assert.equal(half(0x3c00), 1);
  assert.equal(half(0xc000), -2);
  assert.equal(half(0x7bff), 65504);
  assert.equal(half(0x0001), 2 ** -24);
  assert.equal(half(0x8000), -0);
  assert.equal(half(0xfc00), -Infinity);
  assert.ok(Number.isNaN(half(0x7e00)));
});

test("every product is the plain one, at any shape", () => {
  for (const [rows, k, columns] of [
    [1, 1, 1],
    [5, 7, 13],
    [4, 8, 8],
    [9, 3, 31],
  ]) {
    const a = Array.from({ length: rows * k }, (_, i) => Math.sin(i + 1));
    const b = Float32Array.from({ length: columns * k }, (_, i) => Math.cos(3 * i));
    const blocks = Math.ceil(columns / 8);
    for (const kind of LiveKernel.KINDS) {
      const m = LiveKernel.arena(5000, kind);
      assert.equal(m.kind, kind);
      m.floats.set(a, 16);
      LiveKernel.pack(m.floats, 1000, b, columns, k);
      m.floats.fill(1, 3000, 3000 + rows * columns);
      m.multiply(16, k, 1000, 8 * k, 3000, columns, rows, k, blocks);
      for (let row = 0; row < rows; row++) {
        for (let o = 0; o < columns; o++) {
          let wanted = 1;
          for (let i = 0; i < k; i++) wanted += a[row * k + i] * b[o * k + i];
          const got = m.floats[3000 + row * columns + o];
          assert.ok(Math.abs(got - wanted) < 1e-5, `${kind} ${rows} ${k} ${columns}`);
        }
      }
    }
  }
});

test("a browser that refuses a kernel gets the next", () => {
  const source = fs.readFileSync(path.join(FOLDER, "kernel.js"), "utf8");
  for (const [refused, wanted] of [
    [0, "fused"],
    [1, "wasm"],
    [2, "javascript"],
  ]) {
    let asked = 0;
    class Module extends WebAssembly.Module {
      constructor(bytes) {
        if (++asked <= refused) throw new WebAssembly.CompileError("refused");
        super(bytes);
      }
    }
    const { Memory, Instance } = WebAssembly;
    const browser = vm.createContext({ atob, WebAssembly: { Module, Memory, Instance } });
    vm.runInContext(source, browser);
    const kinds = vm.runInContext("[LiveKernel.arena(8).kind, LiveKernel.arena(8).kind]", browser);
    assert.deepEqual([...kinds], [wanted, wanted]);
    assert.equal(asked, Math.min(refused + 1, 2)); // compiled once, whatever became of it
  }
});

test("the table of GELU is off by less than 3e-6", () => {
  // Φ(x) = 1/2 + φ(x) · (x + x³/3 + x⁵/(3·5) + …), which converges everywhere.
  const area = (x) => {
    let sum = 0;
    for (let term = x, n = 1; Math.abs(term) > 1e-17; n += 2, term *= (x * x) / n) sum += term;
    return 0.5 + (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * sum;
  };
  assert.ok(Math.abs(area(1) - 0.8413447460685429) < 1e-14);
  const points = Float32Array.from({ length: 1300 }, (_, i) => -6.5 + i / 100 + 0.0013);
  const found = points.slice();
  LiveLayers.activations.gelu(found, 0, found.length);
  assert.ok(
    furthest(
      found,
      points.map((x) => x * area(x)),
    ) < 3e-6,
  );
  const beyond = Float32Array.of(0, 9, -9, 100);
  LiveLayers.activations.gelu(beyond, 0, beyond.length);
  assert.ok(furthest(beyond, [0, 9, 0, 100]) < 3e-6);
});

test("the readable attention and the fast engine agree", () => {
  const trace = new Map();
  model.encode(SOURCE, { trace });
  const name = "encoder.blocks.0.self_attention";
  const rows = (which, head) => {
    const { shape, data } = trace.get(`${name}.${which}`);
    return SOURCE.map((_, t) => [
      ...data.subarray(t * shape[1] + head * 16, t * shape[1] + head * 16 + 16),
    ]);
  };
  for (let head = 0; head < 4; head++) {
    const q = rows("q_proj", head);
    const { weights, output } = LiveAttention.attend(q, rows("k_proj", head), rows("v_proj", head));
    const n = SOURCE.length;
    const fast = trace.get(`${name}.weights`).data.subarray(head * n * n, (head + 1) * n * n);
    assert.ok(furthest(weights.flat(), fast) < 1e-6);
    assert.ok(furthest(output.flat(), rows("mixed", head).flat()) < 1e-5);
  }
});

test("what is returned is a copy", () => {
  model.encode(SOURCE);
  const first = model.extend([1]);
  const kept = first.slice();
  model.extend([5]);
  assert.deepEqual(first, kept);
});

test("forgetting tokens leaves the cache as it was before them", () => {
  model.encode(SOURCE);
  model.extend([1, 20]);
  const straight = model.extend([30]);
  model.truncate(2);
  model.extend([40, 41]);
  model.truncate(2);
  assert.deepEqual(model.extend([30]), straight);
});

test("too many tokens, none, unknown ones and a missing source say so", () => {
  const fresh = new LiveModel.Model(file);
  assert.throws(() => fresh.extend([1]), /encode a source first/);
  assert.throws(() => fresh.encode([]), /expected 1 to 64 tokens/);
  assert.throws(() => fresh.encode(Array(65).fill(3)), /expected 1 to 64 tokens/);
  assert.throws(() => fresh.encode([97]), /no token 97/);
  assert.throws(() => fresh.encode([-1]), /no token -1/);
});

test("softmax: large scores, masks, rows that may attend nowhere", () => {
  const { softmax } = LiveAttention;
  assert.deepEqual(softmax([1000, 1000]), [0.5, 0.5]);
  assert.deepEqual(softmax([3, 9], [true, false]), [1, 0]);
  assert.deepEqual(softmax([3, 9], [false, false]), [0, 0]);
});

test("slopes of ALiBi, powers of two or not", () => {
  assert.deepEqual(LiveLayers.slopes(4), [2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8]);
  assert.deepEqual(LiveLayers.slopes(3), [2 ** -4, 2 ** -8, 2 ** -2]);
});

function furthest(a, b) {
  assert.equal(a.length, b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
}
