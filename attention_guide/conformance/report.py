"""The verdict on one attention function, as text and as JSON.

The text names the chapter of a failed property; where the page is written and the variable
`ATTENTION_GUIDE_SITE_URL` says where the site stands, its address, too.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Final

WRITTEN: Final = frozenset({"theory/scaled-dot-product"})  # chapters that have their page already


@dataclass(frozen=True)
class Outcome:
    """One property's verdict.

    Args:
        name: The property's public name.
        status: "passed", "failed" or "not applicable".
        explanation: What the property says, in a sentence.
        chapter: Slug of the chapter that teaches it.
        detail: The minimal failing example, or why the property does not apply.

    Examples:
        >>> outcome = Outcome("causality", "failed", "It sees the past alone.", "theory/causality",
        ...                   "changing key 1 changed output 0")
        >>> print(outcome.text)
        It sees the past alone.
        changing key 1 changed output 0
        chapter: theory/causality
    """

    name: str
    status: str
    explanation: str
    chapter: str
    detail: str = ""

    @property
    def text(self) -> str:
        """What it says, the detail and the chapter, a line each."""
        site = os.environ.get("ATTENTION_GUIDE_SITE_URL", "").rstrip("/")
        linked = f" {site}/{self.chapter}/" if site and self.chapter in WRITTEN else ""
        return f"{self.explanation}\n{self.detail}\nchapter: {self.chapter}{linked}"


@dataclass(frozen=True)
class Report:
    """All verdicts on one attention function; `print` shows them.

    Args:
        subject: What was checked.
        outcomes: One verdict a property.

    Examples:
        >>> from attention_guide.conformance import check
        >>> from attention_guide.functional import attention
        >>> report = check(attention, name="ours", only=["mask polarity", "causal alignment"])
        >>> report.passed, report.failures
        (True, ())
        >>> print(report)
        ours: passed
          ok   mask polarity
          n/a  causal alignment
               the adapter declares no causal masking of its own
    """

    subject: str
    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        """Whether no property failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The properties that failed."""
        return tuple(o for o in self.outcomes if o.status == "failed")

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(
            {"subject": self.subject, "passed": self.passed,
             "outcomes": [asdict(o) for o in self.outcomes]},
            indent=2,
        )  # fmt: skip

    def __str__(self) -> str:
        marks = {"passed": "ok  ", "failed": "FAIL", "not applicable": "n/a "}
        lines = [f"{self.subject}: {'passed' if self.passed else 'failed'}"]
        for outcome in self.outcomes:
            lines.append(f"  {marks[outcome.status]} {outcome.name}")
            if outcome.status == "failed":
                lines += [f"       {line}" for line in outcome.text.splitlines()]
            elif outcome.status == "not applicable":
                lines.append(f"       {outcome.detail}")
        return "\n".join(lines)
