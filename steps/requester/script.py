"""What the played payer does in one exchange: the plain way, but for what the script changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


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
class Script:
    """How the played payer behaves."""

    relative_token_endpoint: bool = False
    algorithms: tuple[str, ...] = ("RS384", "ES384")
    token_extras: bool = False
    token_life_s: int = 300
    match_status: int = 200
    identifier_alone: bool = False
    waiting: tuple[Waiting, ...] = ()
    requires_token: bool = True
    foreign_files: bool = False
    redirected_files: bool = False
    gzip: bool = False
    no_last_newline: bool = False
    files_of_a_type: int = 1
    truncated: bool = False
    wrong_count: bool = False
    manifest_extras: bool = False
    empty: bool = False
    export_fails: bool = False
    extensions: bool = False
    without_meta: bool = False
    granted: str = ""
    """Another scope than was asked for."""


# Each exchange that is asked for, by the name that a trigger is told.
SCRIPTS: dict[str, Script] = {
    "plain": Script(),
    "relative-token-endpoint": Script(relative_token_endpoint=True),
    "token-extras": Script(token_extras=True),
    "short-tokens": Script(token_life_s=2, waiting=(Waiting(202, 1),) * 4),
    "no-match": Script(match_status=422),
    "identifier-alone": Script(identifier_alone=True),
    "wait-seconds": Script(waiting=(Waiting(202, 2),)),
    "wait-date": Script(waiting=(Waiting(202, 1, as_date=True),)),
    "polled-too-fast": Script(waiting=(Waiting(429, 1), Waiting(429, 1))),
    "transient-error": Script(waiting=(Waiting(503, 1, issue="transient"),)),
    "failed-job": Script(export_fails=True),
    "signed-urls": Script(requires_token=False, foreign_files=True),
    "redirected-files": Script(redirected_files=True),
    "gzip": Script(gzip=True),
    "files-of-a-type": Script(files_of_a_type=3, no_last_newline=True),
    "truncated": Script(truncated=True),
    "wrong-count": Script(wrong_count=True),
    "manifest-extras": Script(manifest_extras=True),
    "empty": Script(empty=True),
    "extensions": Script(extensions=True),
    "without-meta": Script(without_meta=True),
    "wider-scope": Script(granted="system/*.cruds"),
    "narrower-scope": Script(granted="system/Patient.rs system/Observation.rs"),
}


@dataclass(slots=True)
class Told:
    """What the trigger said of an exchange: how it ended, and what it believes to have."""

    exit_status: int
    outcome: str = ""
    resources: dict[str, int] = field(default_factory=dict)
    message: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the requester believes that it has the member's record."""
        return self.exit_status == 0 and self.outcome in ("", "completed")
