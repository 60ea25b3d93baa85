"""What the played payer does in one exchange: the plain way, but for what the script changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from .udap import ABSENT, FLAWS, GOOD, NOTHING_OFFERED

# What the requester is told to do in a round of an exchange (docs/requesting-payer-protocol.md).
EXCHANGE, UPDATE, WITHDRAW, WHEN_DUE = "exchange", "update", "withdraw", "when-due"
# What a bulk match says of a member (PdexMultiMemberMatchResultCS).
MATCH, NO_MATCH, CONSTRAINED = "match", "nomatch", "consentconstraint"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One answer to a poll before the manifest: a status, and when to come again."""

    status: int = 202
    retry_after_s: int | None = None
    as_date: bool = False
    issue: str = ""

    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        if self.retry_after_s is None:
            return {}
        if not self.as_date:
            return {"Retry-After": str(self.retry_after_s)}
        # A date has whole seconds: the next one, so that the wait is never shorter than told.
        moment = datetime.now(UTC) + timedelta(seconds=self.retry_after_s + 1)
        return {"Retry-After": format_datetime(moment.replace(microsecond=0), usegmt=True)}


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an asynchronous job is waited for, and how its files are handed out."""

    waiting: tuple[Waiting, ...] = ()
    fails: bool = False
    requires_token: bool = True
    foreign: bool = False
    """The files lie at another host."""
    redirected: bool = False
    gzip: bool = False
    no_last_newline: bool = False
    parts: int = 1
    """How many files there are of the largest type."""
    truncated: bool = False
    wrong_count: bool = False
    extras: bool = False
    errors: bool = False
    """An error file reports a problem."""
    expired: str = ""
    """The addresses of files have ended: `links` until the manifest is read again, or `gone`."""
    pages: bool = False
    """The manifest comes in pages, where that was allowed."""
    envelope: bool = False
    """Beside the Groups lies an older form of the answer, which says another thing."""


@dataclass(frozen=True, slots=True)
class Script:
    """How the played payer behaves."""

    rounds: tuple[str, ...] = (EXCHANGE,)
    relative_token_endpoint: bool = False
    algorithms: tuple[str, ...] = ("RS384", "ES384")
    key: str = "ES384"
    """What the client's key signs with."""
    new_key: bool = False
    """The client has another key in each round."""
    token_extras: bool = False
    token_life_s: int = 300
    match_status: int = 200
    identifier_alone: bool = False
    paged: bool = False
    """A search answers in pages, the Patient on the last one."""
    export: Delivery = field(default_factory=Delivery)
    empty: bool = False
    extensions: bool = False
    without_meta: bool = False
    must_support: bool = False
    """The record has all that the profiles would have a payer support."""
    foreign_references: bool = False
    granted: str = ""
    """Another scope than was asked for."""
    members: tuple[str, ...] = ()
    """In bulk: what becomes of each member; empty for the exchange of a single one."""
    match: Delivery = field(default_factory=Delivery)
    """How the answer of a bulk match is delivered."""
    changes: bool = False
    """Since the first round a resource came, and one was deleted."""
    wanted_since: str = ""
    """From which day of service on the member's record is wanted, of Observations alone."""
    auth: str = "private_key_jwt"
    """How the client is registered: private_key_jwt, udap or tls_client_auth."""
    udap: str = ""
    """By UDAP: `good`, or what is wrong with the metadata."""
    tls: str = ""
    """By https: `good`, or what is wrong with the certificate."""
    key_set: bool = False
    """The client's keys are fetched where it publishes them."""
    representative: bool = False
    """Somebody else gives the permission in the member's place."""
    days: tuple[int, ...] = ()
    """How many days after the opt-in each round is."""

    @property
    def is_bulk(self) -> bool:
        """Whether many members are exchanged in one bulk match."""
        return bool(self.members)


def _export(**delivery: object) -> Script:
    return Script(export=Delivery(**delivery))  # type: ignore[arg-type]


def _bulk(*members: str, match: Delivery | None = None, **delivery: object) -> Script:
    found = Delivery(**delivery)  # type: ignore[arg-type]
    return Script(members=members or (MATCH,) * 2, match=match or Delivery(), export=found)


# Each exchange that is asked for, by the name that a trigger is told.
SCRIPTS: dict[str, Script] = {
    "plain": Script(),
    "relative-token-endpoint": Script(relative_token_endpoint=True),
    "token-extras": Script(token_extras=True),
    "short-tokens": Script(token_life_s=2, export=Delivery(waiting=(Waiting(202, 1),) * 4)),
    "only-rs384": Script(key="RS384", algorithms=("RS384",)),
    "only-es384": Script(key="ES384", algorithms=("ES384",)),
    "no-match": Script(match_status=422),
    "identifier-alone": Script(identifier_alone=True),
    "paged-search": Script(identifier_alone=True, paged=True),
    "wait-seconds": _export(waiting=(Waiting(202, 2),)),
    "wait-date": _export(waiting=(Waiting(202, 1, as_date=True),)),
    "polled-too-fast": _export(waiting=(Waiting(429, 1), Waiting(429, 1, as_date=True))),
    "transient-error": _export(waiting=(Waiting(503, 1, issue="transient"),)),
    "failed-job": _export(fails=True),
    "signed-urls": _export(requires_token=False, foreign=True),
    "redirected-files": _export(redirected=True),
    "gzip": _export(gzip=True),
    "files-of-a-type": _export(parts=3, no_last_newline=True),
    "truncated": _export(truncated=True),
    "wrong-count": _export(wrong_count=True),
    "manifest-extras": _export(extras=True),
    "manifest-pages": _export(pages=True),
    "error-file": _export(errors=True),
    "expired-links": _export(expired="links"),
    "expired-files": _export(expired="gone"),
    "empty": Script(empty=True),
    "extensions": Script(extensions=True),
    "without-meta": Script(without_meta=True),
    "must-support": Script(must_support=True),
    "foreign-references": Script(foreign_references=True),
    "wider-scope": Script(granted="system/*.cruds"),
    "narrower-scope": Script(granted="system/Patient.rs system/Observation.rs"),
    "bulk": _bulk(MATCH, MATCH, NO_MATCH, CONSTRAINED, match=Delivery(parts=1)),
    "bulk-nobody": _bulk(NO_MATCH, CONSTRAINED),
    "bulk-waits": _bulk(waiting=(Waiting(202, 1),),
                        match=Delivery(waiting=(Waiting(202, 1), Waiting(429, 1, as_date=True)))),
    "bulk-both-forms": _bulk(match=Delivery(envelope=True)),
    "bulk-files": _bulk(parts=3, no_last_newline=True, gzip=True,
                        match=Delivery(gzip=True, no_last_newline=True)),
    "bulk-truncated": _bulk(truncated=True),
    "bulk-truncated-groups": _bulk(match=Delivery(truncated=True)),
    "bulk-error-file": _bulk(errors=True),
    "bulk-signed-urls": _bulk(requires_token=False, foreign=True,
                              match=Delivery(requires_token=False, foreign=True)),
    "bulk-update": Script(members=(MATCH, MATCH), rounds=(EXCHANGE, UPDATE), changes=True),
    "bulk-withdrawn": Script(members=(MATCH,), rounds=(EXCHANGE, WITHDRAW), days=(0, 98)),
    "bulk-service-dates": Script(members=(MATCH,), wanted_since="2025-02-01"),
    "due": Script(members=(MATCH,), rounds=(WHEN_DUE, WHEN_DUE), days=(7, 98)),
    "udap": Script(auth="udap", udap=GOOD),
    "udap-absent": Script(auth="udap", udap=ABSENT),
    "udap-nothing-offered": Script(auth="udap", udap=NOTHING_OFFERED),
    "udap-endpoints-differ": Script(auth="udap", udap="endpoints-differ"),
    **{f"udap-{flaw}": Script(auth="udap", udap=flaw) for flaw in FLAWS},
    **{f"tls-{flaw}": Script(tls=flaw)
       for flaw in ("expired", "other-host", "self-signed", "unknown-authority")},
    "mutual-tls": Script(auth="tls_client_auth", tls="good"),
    "mutual-tls-registration": Script(auth="udap", udap=GOOD, tls="good"),
    "published-keys": Script(key_set=True),
    "representative": Script(representative=True),
    "rotated-key": Script(rounds=(EXCHANGE, EXCHANGE), new_key=True),
}  # fmt: skip


@dataclass(slots=True)
class Told:
    """What the trigger said of an exchange: how it ended, and what it believes to have."""

    exit_status: int
    outcome: str = ""
    resources: dict[str, int] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    """What became of each member of a batch, by the id in the member file."""
    problems: int | None = None
    """How many problems the other payer reported with the export."""

    @property
    def succeeded(self) -> bool:
        """Whether the requester believes that it has the record of whom it asked for."""
        return self.exit_status == 0 and self.outcome in ("", "completed")
