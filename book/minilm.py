"""Pack the real BERT of the playground, `all-MiniLM-L6-v2`, into shards that a browser fetches.

The weights aren't committed: they are laid in `.cache/weights` by the set-up (book/weights.py) and
packed here when the site is built, int8 per row. The result is kept under `.cache/minilm`, by the
hash of what it was made from. Where the weights are missing, or the edition is the one to be
unzipped, the index says so in a sentence, and the page shows the still figure.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock
from torch import Tensor

from attention_guide.checkpoints import Pretrained, load
from attention_guide.checkpoints.javascript import pack
from attention_guide.checkpoints.javascript import unpacked as rounded
from attention_guide.checkpoints.pretrained import MINILM
from attention_guide.models import Bert, BertConfig
from book import weights
from book.chapters import ROOT

CACHE = ROOT / ".cache" / "minilm"
SHARD_BYTES = 3_000_000
MAX_LEN = 128
LIMIT_BYTES = 24_000_000
LACKING = "This site was built without the model’s weights."
OFFLINE = "This edition has no room for the model: it is on the site that readers visit online."


def files(*, offline: bool = False) -> dict[str, Path]:
    """What goes into the site's `assets/playground/minilm/`, by name.

    Args:
        offline: Whether this is the edition that is unzipped, which carries no weights.

    Returns:
        `index.js` and, where there are weights, the shards.
    """
    if offline:
        return {"index.js": _apology(OFFLINE)}
    if not weights.laid():
        print(
            f"book: no weights of {MINILM} in {weights.WEIGHTS}: the playground shows a still "
            "figure in its place (python book/weights.py lays them)",
            file=sys.stderr,
        )
        return {"index.js": _apology(LACKING)}
    return {path.name: path for path in sorted(packed().iterdir())}


def state(pretrained: Pretrained) -> dict[str, Tensor]:
    """The tensors that the page needs: no pooler, the first segment, the first positions."""
    kept = dict(pretrained.model.state_dict())
    for name in ("pooler.weight", "pooler.bias"):
        del kept[name]
    kept["segment"] = kept.pop("segments.weight")[0]
    kept["positions.weight"] = kept["positions.weight"][:MAX_LEN]
    return kept


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the page holds of `state`, rounded as it is packed, in float32."""
    return rounded(tensors, "int8")


def engine_config(config: BertConfig) -> dict[str, Any]:
    """What the engine needs to know of a BERT."""
    sizes = dataclasses.asdict(config)
    kept = ("d_model", "n_heads", "d_ff", "n_layers", "norm_eps")
    return {name: sizes[name] for name in kept} | {
        "family": "encoder", "max_len": MAX_LEN, "norm": "layer", "norm_first": False,
        "activation": "gelu", "positions": "learned", "embedding_scale": 1.0,
    }  # fmt: skip


def packed(cache: Path = CACHE) -> Path:
    """The folder with `index.js` and the shards, made anew only when what it is made of changed."""
    cache.parent.mkdir(exist_ok=True)
    with FileLock(f"{cache}.lock"):
        folder = cache / _key()
        if not (folder / "index.js").is_file():
            shutil.rmtree(cache, ignore_errors=True)
            folder.mkdir(parents=True)
            write(load(MINILM), folder)
    return folder


def write(pretrained: Pretrained, folder: Path) -> Path:
    """Write the shards and their index.

    Args:
        pretrained: The model and its tokenizer.
        folder: Where they go.

    Returns:
        The index.

    Raises:
        ValueError: All together are larger than the page promises.
    """
    assert isinstance(pretrained.model, Bert)
    assert pretrained.tokenizer is not None
    entries, content = pack(state(pretrained), "int8")
    end = len(content)
    content += "\n".join(pretrained.tokenizer.tokens).encode()
    if len(content) > LIMIT_BYTES:
        raise ValueError(f"expected {LIMIT_BYTES} bytes at most; got {len(content)}")
    shards: list[dict[str, Any]] = []
    for at in range(0, len(content), SHARD_BYTES):
        part = content[at : at + SHARD_BYTES]
        digest = hashlib.sha256(part).hexdigest()
        # The hash in the name: a browser that kept another version can't mistake it for this.
        name = f"{len(shards)}-{digest[:12]}.bin"
        (folder / name).write_bytes(part)
        shards.append({"name": name, "bytes": len(part), "sha256": digest})
    config = engine_config(pretrained.model.config)
    index = {"config": config, "tensors": entries, "vocabulary": end, "shards": shards}
    return _script(folder / "index.js", "index", index)


def _script(path: Path, name: str, value: object) -> Path:
    """A classic script, so that it is read from a folder, too."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    path.write_text(f"// Written by book/minilm.py.\nLiveBert.site.{name} = {text};\n", "utf-8")
    return path


def _apology(reason: str) -> Path:
    folder = ROOT / ".cache" / "minilm-missing" / hashlib.sha256(reason.encode()).hexdigest()[:8]
    folder.mkdir(parents=True, exist_ok=True)
    return _script(folder / "index.js", "missing", reason)


def _key() -> str:
    """A hash of the weights that must lie there and of the code that packs them."""
    digest = hashlib.sha256(json.dumps(weights.FILES, sort_keys=True).encode())
    for code in (write, pack, load):
        digest.update(Path(inspect.getfile(code)).read_bytes())
    return digest.hexdigest()[:20]
