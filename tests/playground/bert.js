// Read texts with the page's BERT, as a page does: test_bert.py asks on standard input.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { ENGINE, load } = require("./engine.js");

const { folder, kernel, asked } = JSON.parse(fs.readFileSync(0, "utf8"));
load(...ENGINE, "wordpiece.js", "bert-model.js", path.join(folder, "index.js"));
const { index } = LiveBert.site;
const shards = index.shards.map(({ name }) => fs.readFileSync(path.join(folder, name)));
const model = new LiveBert.Bert(index, new Uint8Array(Buffer.concat(shards)), { kernel });

const base64 = (floats) =>
  Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength).toString("base64");

const answers = asked.map(({ text, hidden, traced }) => {
  const trace = traced ? new Map() : undefined;
  const ids = model.tokenizer.encode(text, model.config.max_len);
  const vector = model.read(ids, { hidden, trace });
  const kept = [...(trace ?? [])].map(([name, { shape, data }]) => [name, shape, base64(data)]);
  return { ids, vector: base64(vector), kept };
});
console.log(JSON.stringify({ kernel: model.m.kind, answers }));
