"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { test } = require("node:test");
const { ENGINE, load } = require("./engine.js");

const references = process.env.PLAYGROUND_REFERENCES;
const names = JSON.parse(fs.readFileSync(path.join(references, "names.json"), "utf8"));
load(...ENGINE, path.join(__dirname, "parity.js"));
for (const name of names) {
  load(path.join(references, `${name}.js`), path.join(references, `${name}.reference.js`));
}

for (const kernel of LiveKernel.KINDS) {
  for (const name of names) {
    test(`every layer of ${name} is Python's (${kernel})`, (context) => {
      const report = LiveParity.compare(name, kernel);
      context.diagnostic(JSON.stringify(report));
      assert.equal(report.kernel, kernel);
      assert.deepEqual(report.missing, []);
      assert.ok(report.compared > 20);
      assert.ok(report.worst <= 1e-4, `${report.where}: ${report.worst}`);
      assert.ok(report.cached <= 1e-4, `token by token: ${report.cached}`);
    });
  }
}

test("a wrong number is seen", () => {
  assert.equal(LiveParity.furthest([1, 2], [1, 2]), 0);
  assert.equal(LiveParity.furthest([1, 2], [1, 2.5]), 0.5);
  assert.equal(LiveParity.furthest([NaN], [1]), Infinity);
  assert.equal(LiveParity.furthest([1, 2], [1]), Infinity);
});
