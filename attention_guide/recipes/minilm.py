"""One head of a real BERT, and what it thinks is alike: numbers for pages without its weights.

`python -m attention_guide.recipes.minilm` reads `all-MiniLM-L6-v2` and writes `minilm.json` beside
this file. Nothing is trained. The model is the sentence-transformers project's, licensed under
Apache-2.0; the book ships none of its weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from attention_guide.checkpoints import Pretrained, load
from attention_guide.checkpoints.files import write_atomically
from attention_guide.checkpoints.pretrained import MINILM
from attention_guide.record import AttentionRecorder

FILE: Final = Path(__file__).parent / "minilm.json"
SENTENCE: Final = "The animal didn't cross the street because it was too tired."
# Counted from 1, as readers do.
LAYER, HEAD = 4, 2
# Two sentences, and a word of the first that is left out.
PAIRS: Final = (
    ("A dog bit the man.", "A man bit the dog.", ""),
    ("A dog bit the man.", "A man bit the dog.", "dog"),
    ("The film was not good.", "The film was good.", ""),
    ("The film was not good.", "The film was bad.", ""),
)


def similarity(pretrained: Pretrained, first: str, second: str, without: str = "") -> float:
    r"""Cosine of two texts' vectors, $\bar x \cdot \bar y$ with each of length 1.

    Args:
        pretrained: A BERT with its tokenizer.
        first: A text.
        second: Another.
        without: A word of the first that is left out: no query attends to it, and the mean does
            without it. The other words keep their positions.

    Returns:
        Between -1 and 1.

    Raises:
        ValueError: The word is no token of the first text.

    Source:
        Reimers and Gurevych, "Sentence-BERT", EMNLP 2019, arXiv:1908.10084, section 3.
    """
    x = _vector(pretrained, first, without)
    return float(x @ _vector(pretrained, second, ""))


@torch.no_grad()
def _vector(pretrained: Pretrained, text: str, without: str) -> Tensor:
    tokens = _tokens(pretrained, text)
    if without and without not in tokens:
        raise ValueError(f"without: expected one of {tokens}; got {without!r}")
    ids, shown = _ids(pretrained, text), torch.tensor([[token != without for token in tokens]])
    mean: Tensor = pretrained.model(ids, padding=shown)[shown].mean(dim=0)
    vector: Tensor = mean / mean.norm()
    return vector


@torch.no_grad()
def measure(pretrained: Pretrained) -> dict[str, Any]:
    """Everything that the file holds.

    Args:
        pretrained: `load(MINILM)`.

    Returns:
        Tokens, the weights of one head, and the similarities, to six decimals.
    """
    with AttentionRecorder(pretrained.model, match=rf"blocks\.{LAYER - 1}\.") as maps:
        pretrained.model(_ids(pretrained, SENTENCE))
    (weights,) = maps.values()
    pairs = [
        {"first": first, "second": second, "without": without,
         "similarity": round(similarity(pretrained, first, second, without), 6)}
        for first, second, without in PAIRS
    ]  # fmt: skip
    return {
        "model": MINILM,
        "sentence": SENTENCE,
        "tokens": _tokens(pretrained, SENTENCE),
        "layer": LAYER,
        "head": HEAD,
        "weights": [[round(x, 6) for x in row] for row in weights[0, HEAD - 1].tolist()],
        "pairs": pairs,
    }


def read(file: Path = FILE) -> dict[str, Any]:
    """What `measure` found when the file was written.

    Examples:
        >>> found = read()
        >>> found["tokens"][2], len(found["weights"])
        ('animal', 16)
    """
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def main() -> int:
    """Measure, and write the file."""
    text = json.dumps(measure(load(MINILM)), indent=1, ensure_ascii=False)
    write_atomically(FILE, f"{text}\n".encode())
    print(f"wrote {FILE}")
    return 0


def _ids(pretrained: Pretrained, text: str) -> Tensor:
    assert pretrained.tokenizer is not None
    return torch.tensor([pretrained.tokenizer.encode(text)])


def _tokens(pretrained: Pretrained, text: str) -> list[str]:
    assert pretrained.tokenizer is not None
    return [pretrained.tokenizer.tokens[i] for i in _ids(pretrained, text)[0].tolist()]


if __name__ == "__main__":
    sys.exit(main())
