"""The chapters of a report: the phases of the exchange in its order, and why each one matters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chapter:
    """Some phases of the requirements, told together."""

    title: str
    phases: tuple[str, ...]
    why: str


CHAPTERS = (
    Chapter(
        "Registration and discovery",
        ("registration", "discovery", "capability", "transport"),
        "Another payer starts here. What cannot be discovered has to be agreed by hand with every "
        "single partner, and what is announced wrongly breaks their first request.",
    ),
    Chapter(
        "Opt-in",
        ("opt-in",),
        "No data may move before the member has agreed, and a member who agreed is owed the "
        "exchange in time.",
    ),
    Chapter(
        "Authorization",
        ("authn-authz", "token", "scopes"),
        "This is what keeps member data from everybody but the payer who was registered for it. "
        "A gap here can open whole records to a stranger.",
    ),
    Chapter(
        "Member match",
        ("member-match", "bulk-member-match", "group"),
        "A wrong match hands one person's record to another payer; a missed one leaves a member "
        "without their history.",
    ),
    Chapter(
        "Export",
        ("kickoff", "status", "manifest", "export", "output", "delete"),
        "Partners run exports unattended. What deviates here stops their jobs, or loses part of a "
        "record without anybody seeing it.",
    ),
    Chapter(
        "Retrieval",
        ("everything", "read-search", "search"),
        "Partners who do not export read and search. They must get the same record, page by page, "
        "and no more than they were granted.",
    ),
    Chapter(
        "Payload",
        ("data-content", "provenance"),
        "What arrives is only of use when the other payer can read it, trust where it comes from, "
        "and finds all of it and nothing that had to stay.",
    ),
    Chapter(
        "Intake",
        ("storage",),
        "What was received must last and stay apart from the payer's own data, or the exchange was "
        "in vain.",
    ),
    Chapter(
        "Errors",
        ("errors", "error", "other"),
        "An error that does not say what is wrong costs both sides a telephone call.",
    ),
)
_OTHER = CHAPTERS[-1]
_BY_PHASE = {phase: chapter for chapter in CHAPTERS for phase in chapter.phases}


def chapter_of(phase: str) -> Chapter:
    """The chapter of a phase; a phase nobody has placed yet is in the last one."""
    return _BY_PHASE.get(phase, _OTHER)
