// Hold the engine against what Python wrote (reference.py). Runs in Node and in a browser.
"use strict";

const LiveParity = (() => {
  const references = new Map();

  function floats(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }

  function furthest(a, b) {
    if (a.length !== b.length) return Infinity;
    let most = 0;
    // Written so that a NaN on either side counts as infinitely far.
    for (let i = 0; i < a.length; i++)
      if (!(Math.abs(a[i] - b[i]) <= most)) most = distance(a[i], b[i]);
    return most;
  }

  const distance = (a, b) => (Number.isNaN(a - b) ? Infinity : Math.abs(a - b));

  /** Run a model on its reference's tokens: in one pass, or token by token through the caches. */
  function trace(reference, kernel, stepwise) {
    const model = new LiveModel.Model(LiveWeights.get(reference.name), { kernel });
    const found = new Map();
    if (reference.source) model.encode(reference.source, { trace: found });
    if (!stepwise) {
      model.extend(reference.target, { trace: found });
      return { model, found };
    }
    const rows = reference.target.map((id) => model.extend([id]));
    const logits = Float32Array.from(rows.flatMap((row) => [...row]));
    return { model, found: new Map([["output_proj", { data: logits }]]) };
  }

  /** Every layer of one model: how many were compared, and the furthest apart. */
  function compare(name, kernel) {
    const reference = references.get(name);
    const { model, found } = trace(reference, kernel, false);
    const report = { kernel: model.kernel, compared: 0, worst: 0, where: "", missing: [] };
    for (const [path, { shape, data }] of Object.entries(reference.activations)) {
      const ours = found.get(path);
      if (!ours || ours.shape.join() !== shape.join()) {
        report.missing.push(path);
        continue;
      }
      note(report, path, ours.data, data);
    }
    if (reference.readings) readings(reference, model, found, report);
    const cached = trace(reference, kernel, true).found.get("output_proj").data;
    report.cached = furthest(cached, floats(reference.activations.output_proj.data));
    return report;
  }

  function note(report, where, ours, wanted) {
    const apart = furthest(ours, floats(wanted));
    report.compared++;
    if (apart >= report.worst) Object.assign(report, { worst: apart, where });
  }

  /** The logit lens at every layer, and heads at zero: in one pass, and token by token. */
  function readings({ readings: { lens, silent, silenced }, target }, model, found, report) {
    lens.forEach((wanted, i) => {
      const stream = found.get(i ? `blocks.${i - 1}` : "embedded").data;
      note(report, `lens ${i}`, model.readOut(stream), wanted);
    });
    for (const [layer, head] of silent) model.silence(layer, head);
    note(report, "silenced", model.extend(target), silenced);
    model.truncate(0);
    const rows = target.flatMap((id) => [...model.extend([id])]);
    note(report, "silenced, token by token", Float32Array.from(rows), silenced);
    for (const [layer, head] of silent) model.silence(layer, head, false);
    note(report, "no longer silenced", model.extend(target), lens[lens.length - 1]);
  }

  const addReadings = (name, found) => {
    references.get(name).readings = found;
  };

  return {
    addReadings,
    add: (reference) => references.set(reference.name, reference),
    compare,
    furthest,
  };
})();
