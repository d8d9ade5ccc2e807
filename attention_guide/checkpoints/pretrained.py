"""A pretrained model by its name, with its tokenizer: the hub's files, held against their hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.checkpoints._reading import read_json
from attention_guide.checkpoints.folders import WEIGHTS_VARIABLE, find_folder, read_weights
from attention_guide.checkpoints.hugging_face import from_hugging_face
from attention_guide.models.bert import Bert, BertClassifier, BertConfig, BertForMaskedWords
from attention_guide.text.wordpiece import WordPiece

MINILM: Final = "sentence-transformers/all-MiniLM-L6-v2"
# Where `make setup` lays weights, in a checkout of this repository.
SHELF: Final = Path(__file__).resolve().parents[2] / ".cache" / "weights"
# sha256 of the published files, by name on the hub.
PUBLISHED: Final[dict[str, dict[str, str]]] = {
    MINILM: {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
}
# What the published settings make, of all that decides the numbers: the model's sizes, and whether
# the tokenizer lower-cases. A file's other lines may differ, as the hub's do from a package's.
SETTINGS: Final = {MINILM: (BertConfig(30_522, 384, 12, 6, 1536, 512, 2, 0.1, 1e-12, 0), True)}


@dataclass(frozen=True)
class Pretrained:
    """A pretrained model with what is needed to use it.

    Attributes:
        name: What it was loaded as.
        model: The model, in eval mode.
        tokenizer: Its tokenizer; `None` where the folder has none that we know.
        folder: Where its files lie.
    """

    name: str
    model: nn.Module
    tokenizer: WordPiece | None
    folder: Path

    @torch.no_grad()
    def embed(self, texts: Sequence[str], *, max_len: int = 256) -> Float[Tensor, "N D"]:
        r"""A vector a text, $\bar x / \lVert \bar x \rVert$: the mean of its tokens, of length 1.

        The product of two such vectors says how near two texts are in meaning.

        Args:
            texts: N texts.
            max_len: Most tokens of a text; what follows isn't read.

        Returns:
            `(N, D)`.

        Raises:
            TypeError: The model isn't a `Bert` with a tokenizer, or `texts` is one text.
            ValueError: There is no text.

        Source:
            Reimers and Gurevych, "Sentence-BERT", EMNLP 2019, arXiv:1908.10084, section 3.
        """
        if not isinstance(self.model, Bert) or self.tokenizer is None:
            raise TypeError(f"model: expected a Bert with a tokenizer; got {type(self.model)}")
        if isinstance(texts, str):
            raise TypeError("texts: expected a list of texts; got one str")
        if not texts:
            raise ValueError("texts: expected at least one")
        rows = self.tokenizer.batch(texts, max_len=max_len)
        ids = torch.tensor(rows, device=self.model.embedding.weight.device)
        x = self.model(ids)
        real = (ids != self.tokenizer.pad_id)[..., None].to(x.dtype)
        mean = (x * real).sum(dim=1) / real.sum(dim=1)
        return nn.functional.normalize(mean, dim=-1)


def load(
    source: str | Path, *, dtype: torch.dtype | None = None, sha256: str | None = None
) -> Pretrained:
    """A pretrained model and its tokenizer, from a folder, `ATTENTION_GUIDE_WEIGHTS` or the hub.

    Nothing is installed and no code of others is run: weights are safetensors, the rest is JSON
    and text.

    For a model of `PUBLISHED`, wherever it comes from, weights and vocabulary are held against
    their published hashes, and the settings of the model and of its tokenizer against the
    published ones (`SETTINGS`). A folder is taken for such a model when its path ends in the
    model's name. Of any other nothing is known beforehand, and nothing is checked but what
    `sha256` says, and that names and sizes fit.

    Args:
        source: A folder, or a name on the hub, such as
            `"sentence-transformers/all-MiniLM-L6-v2"`. A name is looked for in the folder that
            `ATTENTION_GUIDE_WEIGHTS` names, then where this repository's `make setup` lays
            weights, then on the hub.
        dtype: What the weights are cast to; `None` for theirs.
        sha256: The hash that `model.safetensors` must have; `None` for the published one, where
            this package knows it.

    Returns:
        The model in eval mode, and its tokenizer.

    Raises:
        FileNotFoundError: There is no such folder, and no hub in reach.
        TypeError: `dtype` isn't a floating-point dtype.
        ValueError: A file's hash or a setting isn't the expected one, the weights are a pickle, a
            file is damaged, or names and sizes don't fit.

    Examples:
        >>> load("model.bin")
        Traceback (most recent call last):
            ...
        ValueError: model.bin: a pickle runs code when it is read...
    """
    name = str(source)
    laid = SHELF / name
    folder = find_folder(laid if _only_laid(source, laid) else source)
    known = "/".join(Path(source).absolute().parts[-2:])
    expected = dict(PUBLISHED.get(known, {}))
    if sha256 is not None:
        expected["model.safetensors"] = sha256
    for file, wanted in expected.items():
        _check_hash(folder / file, wanted)
    config = read_json(folder / "config.json")
    model = from_hugging_face(config, read_weights(folder), dtype=dtype)
    reads_pieces = isinstance(model, Bert | BertForMaskedWords | BertClassifier)
    has_pieces = any((folder / file).is_file() for file in ("vocab.txt", "tokenizer.json"))
    tokenizer = WordPiece.from_folder(folder) if reads_pieces and has_pieces else None
    found = Pretrained(name, model, tokenizer, folder)
    if known in SETTINGS:
        _check_settings(found, *SETTINGS[known])
    return found


def _only_laid(source: str | Path, laid: Path) -> bool:
    """Whether the hub's name is in no folder of the reader's, but where `make setup` lays it."""
    if not (laid / "config.json").is_file() or (Path(source) / "config.json").is_file():
        return False
    shelf = os.environ.get(WEIGHTS_VARIABLE)
    return not (shelf and (Path(shelf) / source / "config.json").is_file())


def _check_settings(found: Pretrained, config: BertConfig, lowercase: bool) -> None:
    got: object = found.model.config
    if not isinstance(found.model, Bert) or got != config:
        kind = type(found.model).__name__
        raise ValueError(
            f"{found.folder / 'config.json'}: expected a Bert of {config}, as it was published; "
            f"got a {kind} of {got}"
        )
    if found.tokenizer is None or found.tokenizer.lowercase is not lowercase:
        raise ValueError(
            f"{found.folder / 'tokenizer_config.json'}: expected do_lower_case {lowercase}, as it "
            f"was published; got {not lowercase}"
        )


def _check_hash(file: Path, wanted: str) -> None:
    if not file.is_file():
        raise FileNotFoundError(f"{file}: expected it, with sha256 {wanted}")
    got = hashlib.sha256(file.read_bytes()).hexdigest()
    if got != wanted:
        raise ValueError(f"{file}: expected sha256 {wanted}; got {got}")
