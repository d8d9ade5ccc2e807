"""The bibliography: one BibTeX file, its entries as labels, full references and addresses."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pybtex.backends.plaintext import Backend
from pybtex.database import BibliographyDataError, Person, parse_string
from pybtex.richtext import Text
from pybtex.scanner import PybtexSyntaxError

from book.markdown.errors import PageError

# Found by name, as render_as("text") does, it is looked for in every installed package, each time.
_PLAIN_TEXT = Backend()
_MAX_AUTHORS = 10  # a longer list shows the first nine and the last
_VENUES = ("journal", "booktitle", "publisher", "institution", "school", "howpublished", "series")


@dataclass(frozen=True)
class Entry:
    """One work. `names` and `year` make its citation, the rest its reference."""

    key: str
    line: int
    names: str  # "Vaswani et al."
    year: str  # with the letter that tells works of one year apart
    authors: str
    title: str
    venue: str
    link: str
    link_text: str

    @property
    def reference(self) -> str:
        """The whole reference as one line of plain text."""
        venue = f" {self.venue}." if self.venue else ""
        return f"{self.authors} ({self.year}). {_sentence(self.title)}{venue} {self.link_text}"


def load(path: Path, shown: str) -> dict[str, Entry]:
    """The entries of a BibTeX file by key; `shown` is how errors name the file."""
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _load(path, shown, stamp)


@lru_cache(maxsize=8)
def _load(path: Path, shown: str, _: int) -> dict[str, Entry]:
    if not path.is_file():
        return {}
    source = path.read_text(encoding="utf-8")
    lines = {m[1]: source.count("\n", 0, m.start()) + 1 for m in _KEY.finditer(source)}
    try:
        data = parse_string(source, "bibtex")
    except (BibliographyDataError, PybtexSyntaxError) as error:
        raise PageError(shown, getattr(error, "lineno", None), str(error)) from None
    entries = {}
    for key, entry in data.entries.items():
        fields = {name.lower(): _decode(value) for name, value in entry.fields.items()}
        _require(key, fields, entry.persons, shown, lines.get(key))
        link, link_text = _address(fields)
        people = entry.persons["author"]
        entries[key] = Entry(
            key=key,
            line=lines.get(key, 0),
            names=_short_names(people),
            year=fields["year"],
            authors=_long_names(people),
            title=fields["title"],
            venue=_venue(fields),
            link=link,
            link_text=link_text,
        )
    return _with_letters(entries)


_KEY = re.compile(r"^@\w+\s*\{\s*([^,\s]+)\s*,", re.MULTILINE)


def _require(
    key: str, fields: dict[str, str], persons: dict[str, list[Person]], shown: str, line: int | None
) -> None:
    missing = [name for name in ("title", "year") if not fields.get(name)]
    missing += [] if persons.get("author") else ["author"]
    missing += [] if {"doi", "eprint", "url"} & fields.keys() else ["doi, eprint or url"]
    if missing:
        raise PageError(shown, line, f"entry {key!r} lacks {', '.join(missing)}")


def _with_letters(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Add a, b, … to the year of works whose citations would read the same."""
    same = Counter((entry.names, entry.year) for entry in entries.values())
    given: Counter[tuple[str, str]] = Counter()
    lettered = {}
    for key in sorted(entries):
        entry = entries[key]
        label = (entry.names, entry.year)
        if same[label] > 1:
            letter = chr(ord("a") + given[label])
            given[label] += 1
            entry = Entry(**{**entry.__dict__, "year": entry.year + letter})
        lettered[key] = entry
    return dict(sorted(lettered.items(), key=lambda item: _order(item[1])))


def _order(entry: Entry) -> tuple[str, str, str]:
    return entry.authors.casefold(), entry.year, entry.key


def _decode(value: str) -> str:
    """BibTeX's braces and accents as plain text."""
    text = str(Text.from_latex(value.replace(r"\&", "&")).render(_PLAIN_TEXT))
    return " ".join(text.replace("{", "").replace("}", "").replace("--", "–").split())


def _surname(person: Person) -> str:
    parts = [*person.prelast_names, *person.last_names, *person.lineage_names]
    return _decode(" ".join(parts))


def _initials(person: Person) -> str:
    names = [_decode(name) for name in [*person.first_names, *person.middle_names]]
    return " ".join("-".join(f"{part[0]}." for part in name.split("-") if part) for name in names)


def _short_names(people: list[Person]) -> str:
    if len(people) > 2 or _surname(people[-1]) == "others":
        return f"{_surname(people[0])} et al."
    return " and ".join(_surname(person) for person in people)


def _long_names(people: list[Person]) -> str:
    names = [f"{_surname(p)}, {_initials(p)}".rstrip(", ") for p in people]
    if names[-1] == "others":
        return ", ".join(names[:-1]) + " et al."
    if len(names) > _MAX_AUTHORS:
        return ", ".join(names[: _MAX_AUTHORS - 1]) + f", … {names[-1]}"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _venue(fields: dict[str, str]) -> str:
    venue = next((fields[name] for name in _VENUES if fields.get(name)), "")
    if venue.lower().startswith("arxiv"):
        return ""  # the link says it
    volume, number, pages = (fields.get(name) for name in ("volume", "number", "pages"))
    if volume:
        venue += f" {volume}" + (f"({number})" if number else "")
    return venue + (f", {pages}" if pages else "")


def _address(fields: dict[str, str]) -> tuple[str, str]:
    if doi := fields.get("doi"):
        return f"https://doi.org/{doi}", f"doi:{doi}"
    if eprint := fields.get("eprint"):
        return f"https://arxiv.org/abs/{eprint}", f"arXiv:{eprint}"
    url = fields.get("url", "")
    return url, re.sub(r"^https?://(www\.)?", "", url).rstrip("/")


def _sentence(title: str) -> str:
    return title if title.endswith((".", "?", "!")) else f"{title}."
