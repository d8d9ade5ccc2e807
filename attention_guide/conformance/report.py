"""The verdict on one attention function, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Outcome:
    """One property's verdict.

    Args:
        name: The property's public name.
        status: "passed", "failed" or "not applicable".
        explanation: What the property says, in a sentence.
        chapter: Slug of the chapter that teaches it.
        detail: The minimal failing example, or why the property does not apply.
    """

    name: str
    status: str
    explanation: str
    chapter: str
    detail: str = ""


@dataclass(frozen=True)
class Report:
    """All verdicts on one attention function."""

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
                lines.append(f"       {outcome.explanation}")
                lines += [f"       {line}" for line in outcome.detail.splitlines()]
                lines.append(f"       chapter: {outcome.chapter}")
            elif outcome.status == "not applicable":
                lines.append(f"       {outcome.detail}")
        return "\n".join(lines)
