"""How a check says what it found: a failed check, a reason to skip, a reason to omit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class CheckFailed(AssertionError):
    """The target breaks a rule.

    `expected` and `actual` never hold member data or secrets; `where` is a FHIRPath, a header or a
    field of the answer; `evidence` is the id of the exchange that shows it.
    """

    message: str
    expected: str = ""
    actual: str = ""
    where: str = ""
    evidence: str = ""

    def __str__(self) -> str:
        parts = [self.message]
        if self.expected:
            parts.append(f"expected: {self.expected}")
        if self.actual:
            parts.append(f"actual: {self.actual}")
        if self.where:
            parts.append(f"at: {self.where}")
        return "; ".join(parts)


class CannotTell(Exception):
    """The scenario cannot be judged now; the message says why and what to do (skip)."""


class NotApplicable(Exception):
    """The scenario is not for this target: its version, role or declared capability (omit)."""
