// Masks from rules, in the words of five libraries, and a look at their polarity.
"use strict";

/**
 * @typedef {object} MaskRules
 * @property {number} size tokens
 * @property {"none" | "causal" | "prefix"} order
 * @property {number} prefix tokens that see each other, with order "prefix"
 * @property {number} left neighbours seen before a token; `size` for all
 * @property {number} right neighbours seen after it; `size` for all
 * @property {number} padding tokens at the end that are filler
 * @property {number} second where a second document begins; 0 for none
 * @property {number[]} globals tokens that see all and are seen by all, whatever the window
 */

const LiveMasks = (() => {
  const CONVENTIONS = [
    "PyTorch SDPA",
    "nn.MultiheadAttention",
    "Hugging Face",
    "Keras",
    "Additive",
  ];

  /**
   * True = may attend; rows are queries, columns keys.
   *
   * @param {MaskRules} rules
   * @returns {boolean[][]}
   */
  function build({ size, order, prefix, left, right, padding, second, globals }) {
    const ids = Array.from({ length: size }, (_, i) => i);
    return ids.map((i) =>
      ids.map((j) => {
        const ordered = order === "none" || j <= i || (order === "prefix" && j < prefix);
        const near = i - j <= left && j - i <= right;
        const exempt = globals.includes(i) || globals.includes(j);
        const real = j < size - padding;
        const together = !second || i < second === j < second;
        return ordered && (near || exempt) && real && together;
      }),
    );
  }

  /**
   * Why a mask looks inverted, or null; the tests of the package's `suspect_polarity`.
   *
   * @param {boolean[][]} mask
   */
  function suspect(mask) {
    if (!mask.some((row) => row.some(Boolean))) return "hides everything";
    if (mask.length < 2) return null;
    const past = mask.some((row, i) => row.some((open, j) => open && j <= i));
    if (!past) return "lets every query see only its future";
    return mask.some((row, i) => row[i]) ? null : "lets no query see itself";
  }

  /**
   * Code that builds the mask and hands it over.
   *
   * @param {MaskRules} rules
   * @param {number} convention index into CONVENTIONS
   */
  function code(rules, convention) {
    const { size, order, prefix, left, right, padding, second, globals } = rules;
    const lines = [
      "import torch",
      "",
      `i, j = torch.arange(${size})[:, None], torch.arange(${size})  # queries, keys`,
      `mask = torch.ones(${size}, ${size}, dtype=torch.bool)  # True = may attend`,
    ];
    if (order === "causal") lines.push("mask &= j <= i");
    if (order === "prefix") lines.push(`mask &= (j <= i) | (j < ${prefix})`);
    if (left < size || right < size) {
      lines.push(`near = (i - j <= ${left}) & (j - i <= ${right})`);
      if (globals.length) {
        lines.push(`is_global = torch.zeros(${size}, dtype=torch.bool)`);
        lines.push(`is_global[[${globals.join(", ")}]] = True`);
        lines.push("near |= is_global[:, None] | is_global");
      }
      lines.push("mask &= near");
    }
    if (padding) lines.push(`mask &= j < ${size - padding}  # the rest is padding`);
    if (second) lines.push(`mask &= (i < ${second}) == (j < ${second})  # two documents`);
    return [...lines, "", ...HAND_OVER[convention]].join("\n");
  }

  const HAND_OVER = [
    [
      "# scaled_dot_product_attention(q, k, v, attn_mask=attn_mask): True = may attend",
      "attn_mask = mask",
    ],
    [
      "# nn.MultiheadAttention(...)(q, k, v, attn_mask=attn_mask): True = may NOT attend",
      "attn_mask = ~mask",
    ],
    [
      "# model(..., attention_mask=attention_mask), four axes: added to the scores",
      "low = torch.finfo(torch.float32).min",
      "attention_mask = torch.zeros(mask.shape).masked_fill(~mask, low)[None, None]",
    ],
    [
      "# keras.layers.MultiHeadAttention(...)(q, v, attention_mask=attention_mask): True = may attend",
      "attention_mask = mask[None].numpy()",
    ],
    [
      "# softmax(q @ k.mT * scale + bias): 0 = may attend",
      'bias = torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))',
    ],
  ];

  return { CONVENTIONS, build, suspect, code };
})();
