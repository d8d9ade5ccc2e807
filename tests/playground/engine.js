// Load the engine's classic scripts as a page does, in order, into one global scope.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const FOLDER = path.join(__dirname, "../../docs/assets/playground");
const ENGINE = ["kernel.js", "weights.js", "layers.js", "blocks.js", "model.js", "attention.js"];

function load(...files) {
  for (const file of files) {
    const where = path.resolve(FOLDER, file);
    vm.runInThisContext(fs.readFileSync(where, "utf8"), { filename: where });
  }
}

module.exports = { ENGINE, FOLDER, load };
