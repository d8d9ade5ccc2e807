"""Cards: what a data set is, where it comes from, and a checksum that says if it is still that."""

from __future__ import annotations

import dataclasses
import json
import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata

from attention_guide.data.checksums import Splits, checksum

__all__ = ["Card", "DataChangedWarning", "Seen", "Splits", "checksum", "installed"]


class DataChangedWarning(UserWarning):
    """The data that is here isn't the data that a card or a checkpoint describes."""


@dataclass(frozen=True)
class Card:
    """What everybody should know of a data set before they use it.

    Args:
        name: Short name, unique in the package.
        description: What one example is, and what it is for.
        source: Where it comes from: the rule that makes it, or the publication and its address.
        licence: Under which terms it may be used.
        splits: Examples in each split.
        checksum: `checksum` of the splits. For published archives see `data.download`.
        size_bytes: Size of the download; 0 for data that the package makes.
        versions: What else the data depends on, see `installed`: `{"babel": "2.18.0"}`.
        notes: What a user must know: known faults, people in it, what it mustn't be used for.

    Raises:
        ValueError: A text is empty, a count is negative, or the checksum isn't SHA-256.

    Source:
        The idea is Gebru et al. (2021), "Datasheets for Datasets", Communications of the ACM.

    Examples:
        >>> data = {"train": ["abc", "de"], "test": ["f"]}
        >>> card = Card("letters", "Letters.", "Typed.", "CC0", {"train": 2, "test": 1},
        ...             checksum(data))
        >>> card.verify(data)
        >>> card.n_examples
        3
    """

    name: str
    description: str
    source: str
    licence: str
    splits: Mapping[str, int]
    checksum: str = ""
    size_bytes: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""

    def __post_init__(self) -> None:
        """Check what was said."""
        for name in ("name", "description", "source", "licence"):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected a text, got an empty one")
        if not self.splits or min(self.splits.values()) < 0 or self.size_bytes < 0:
            raise ValueError(f"splits, size_bytes: expected counts, got {dict(self.splits)}")
        if self.checksum and not _is_sha256(self.checksum):
            raise ValueError(f"checksum: expected 64 hexadecimal digits, got {self.checksum!r}")

    @property
    def n_examples(self) -> int:
        """Examples in all splits together."""
        return sum(self.splits.values())

    def problems(self, splits: Splits) -> list[str]:
        """What differs between the data and this card: nothing, if it is an empty list.

        Args:
            splits: The examples of each split.

        Returns:
            One sentence for each difference; the checksum is computed where the sizes agree.
        """
        sizes = {name: len(examples) for name, examples in splits.items()}
        if sizes != dict(self.splits):
            return [f"{self.name}: expected examples {dict(self.splits)}, got {sizes}"]
        found = checksum(splits)
        if self.checksum and found != self.checksum:
            return [f"{self.name}: expected checksum {self.checksum}, got {found}"]
        return []

    def verify(self, splits: Splits) -> None:
        """Raise if the data isn't what the card says.

        Raises:
            ValueError: A size or the checksum differs.
        """
        problems = self.problems(splits)
        if problems:
            raise ValueError("; ".join(problems))

    def check(self, splits: Splits) -> bool:
        """As `verify`, but only warn where another version of something explains the difference.

        Args:
            splits: The examples of each split.

        Returns:
            Whether they are as the card says.

        Raises:
            ValueError: They differ, and the versions are those of the card.

        Warns:
            DataChangedWarning: They differ, and so do the versions.
        """
        problems = self.problems(splits)
        here = installed(*self.versions)
        if problems and here == dict(self.versions):
            raise ValueError("; ".join(problems))
        if problems:
            warnings.warn(
                f"{'; '.join(problems)}; the card is of {_listed(self.versions)}, "
                f"here is {_listed(here)}",
                DataChangedWarning,
                stacklevel=2,
            )
        return not problems

    def warn_if_changed(self, other: Card) -> bool:
        """Warn if another card describes other data: the one that a checkpoint saw, say.

        Args:
            other: The card to compare with.

        Returns:
            Whether a warning was given.

        Warns:
            DataChangedWarning: The checksums differ; it names both versions.

        Examples:
            >>> now = Card("t", "T.", "Here.", "CC0", {"all": 1}, checksum({"all": ["a"]}))
            >>> now.warn_if_changed(now)
            False
        """
        if self.checksum == other.checksum:
            return False
        warnings.warn(
            f"{self.name}: the data differs from what was seen before: checksum "
            f"{self.checksum[:12]} ({_listed(self.versions)}) here, "
            f"{other.checksum[:12]} ({_listed(other.versions)}) there; "
            "a model trained again won't be the same",
            DataChangedWarning,
            stacklevel=2,
        )
        return True

    def to_json(self) -> str:
        """The card as JSON, to keep beside a checkpoint.

        Examples:
            >>> card = Card("t", "T.", "Here.", "CC0", {"all": 1})
            >>> Card.from_json(card.to_json()) == card
            True
        """
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain = {k: dict(v) if isinstance(v, Mapping) else v for k, v in fields.items()}
        return json.dumps(plain, ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """The card that `to_json` wrote."""
        return cls(**json.loads(text))

    def to_markdown(self) -> str:
        """The card as a Markdown table, for a page or a folder's README."""
        sizes = ", ".join(f"{name} {n:,}" for name, n in self.splits.items())
        rows = {
            "what": self.description,
            "source": self.source,
            "licence": self.licence,
            "examples": sizes,
            "SHA-256": f"`{self.checksum}`" if self.checksum else "none published",
            "download": f"{self.size_bytes:,} bytes" if self.size_bytes else "",
            "versions": _listed(self.versions) if self.versions else "",
            "notes": self.notes,
        }
        lines = [f"| {key} | {value} |" for key, value in rows.items() if value]
        return "\n".join([f"| {self.name} | |", "|---|---|", *lines]) + "\n"


class Seen:
    """Which data a run saw, as a part of its checkpoints: going on with other data warns.

    Args:
        card: The card of the data that is here.

    Examples:
        >>> card = Card("t", "T.", "Here.", "CC0", {"all": 1}, checksum({"all": ["a"]}))
        >>> seen = Seen(card)  # Checkpoints(folder, parts={"data": seen, "batches": batches})
        >>> seen.load_state_dict(seen.state_dict())
    """

    def __init__(self, card: Card) -> None:
        """Keep the card."""
        self.card = card

    def state_dict(self) -> str:
        """The card, for the checkpoint."""
        return self.card.to_json()

    def load_state_dict(self, state: str) -> None:
        """Warn with `DataChangedWarning` if the checkpoint saw other data."""
        self.card.warn_if_changed(Card.from_json(state))


def installed(*names: str) -> dict[str, str]:
    """Name to version: `python`, or a distribution; `"none"` where it isn't installed.

    Examples:
        >>> installed("torch", "no-such-thing")["no-such-thing"]
        'none'
    """
    versions = {}
    for name in names:
        try:
            python = name == "python"
            versions[name] = platform.python_version() if python else metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "none"
    return versions


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "no versions"
