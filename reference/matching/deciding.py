"""The one decision function, for the single and the bulk operation alike.

A strategy proposes. What a proposal may be is enforced here: one key at most, of a member the
registry knows, within the time limit; and an exception is never a match.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from ..event_log import tell
from .strategy import Decision, MatchRequest, MatchStrategy, Outcome, Registry, RegistryError
from .strict import Strict

if TYPE_CHECKING:
    from .person import Member

TIME_LIMIT_S = 1.0
Stopwatch = Callable[[], float]

_log = logging.getLogger(__name__)
_STRICT = Strict()


class _TimeLimitReached(Exception):
    """The strategy asked the registry for more after its time was over."""


class _WatchedRegistry:
    """The registry as one decision sees it: ends at the time limit, remembers whom it showed."""

    def __init__(self, registry: Registry, deadline: float, stopwatch: Stopwatch) -> None:
        self._registry = registry
        self._deadline = deadline
        self._stopwatch = stopwatch
        self._shown: set[str] = set()

    def by_member_id(self, system: str | None, value: str) -> Sequence[Member]:
        return self._show(self._in_time().by_member_id(system, value))

    def by_subscriber_id(self, payer: str | None, value: str) -> Sequence[Member]:
        return self._show(self._in_time().by_subscriber_id(payer, value))

    def household(self, member_key: str) -> Sequence[Member]:
        return self._show(self._in_time().household(member_key))

    def block(self, **keys: str) -> Sequence[Member]:
        return self._show(self._in_time().block(**keys))

    def bearers(self, given: str) -> int:
        return self._in_time().bearers(given)

    def knows(self, key: str) -> bool:
        """Return whether the key is a member's; one that was shown needs no further look-up."""
        return key in self._shown or any(m.key == key for m in self._registry.household(key))

    @property
    def is_late(self) -> bool:
        return self._stopwatch() > self._deadline

    def _in_time(self) -> Registry:
        if self.is_late:
            raise _TimeLimitReached
        return self._registry

    def _show(self, members: Sequence[Member]) -> Sequence[Member]:
        self._shown.update(member.key for member in members)
        return members


def decide(
    request: MatchRequest,
    registry: Registry,
    strategy: MatchStrategy,
    *,
    fallback: MatchStrategy = _STRICT,
    time_limit_s: float = TIME_LIMIT_S,
    stopwatch: Stopwatch = time.monotonic,
) -> Decision:
    """Return one member's key or nobody's, whatever the strategy does.

    DEFER goes to the fallback, within the same time limit. An exception of the strategy is NONE
    with reason "strategy-error"; a registry that cannot be read is REFUSED with "registry-error",
    for then nothing is known of the member; a late answer is REFUSED with "time-limit".
    """
    watched = _WatchedRegistry(registry, stopwatch() + time_limit_s, stopwatch)
    decision = _enforced(strategy, request, watched)
    if decision.outcome is Outcome.DEFER:
        decision = _enforced(fallback, request, watched)
    if decision.outcome is Outcome.DEFER:
        return Decision(Outcome.NONE, reason="deferred")
    return decision


def decide_many(
    requests: Iterable[MatchRequest],
    registry: Registry,
    strategy: MatchStrategy,
    *,
    fallback: MatchStrategy = _STRICT,
    time_limit_s: float = TIME_LIMIT_S,
    stopwatch: Stopwatch = time.monotonic,
) -> Iterator[Decision]:
    """Yield the decision of `decide` for each request, in order; the limit is per member."""
    for request in requests:
        yield decide(
            request,
            registry,
            strategy,
            fallback=fallback,
            time_limit_s=time_limit_s,
            stopwatch=stopwatch,
        )


def _enforced(
    strategy: MatchStrategy, request: MatchRequest, watched: _WatchedRegistry
) -> Decision:
    try:
        proposal: Any = strategy.decide(request, watched)
        if watched.is_late:
            return Decision(Outcome.REFUSED, reason="time-limit")
        return _admissible(proposal, watched)
    except _TimeLimitReached:
        return Decision(Outcome.REFUSED, reason="time-limit")
    except RegistryError as error:
        _log_failure("registry", strategy, error)
        return Decision(Outcome.REFUSED, reason="registry-error")
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, and none is a match
        _log_failure("strategy", strategy, error)
        return Decision(Outcome.NONE, reason="strategy-error")


def _admissible(proposal: Any, watched: _WatchedRegistry) -> Decision:
    if not isinstance(proposal, Decision) or not isinstance(proposal.outcome, Outcome):
        return Decision(Outcome.NONE, reason="strategy-error")
    if proposal.outcome is not Outcome.MATCH:
        # Only a match names a member: nobody downstream can then mistake the one for the other.
        return Decision(proposal.outcome, None, str(proposal.reason), _codes(proposal))
    key: Any = proposal.member_key
    if not isinstance(key, str):
        return Decision(Outcome.NONE, reason="strategy-error")
    if not watched.knows(key):
        return Decision(Outcome.NONE, reason="unknown-key")
    return proposal


def _codes(proposal: Decision) -> tuple[str, ...]:
    return tuple(str(code) for code in proposal.evidence)


def _log_failure(what: str, strategy: MatchStrategy, error: Exception) -> None:
    # Type and place alone: the message could hold what the member is called.
    tell(
        _log,
        logging.ERROR,
        "matching-failed",
        step=what,
        error=type(error).__name__,
        place=_place(error),
        strategy=str(getattr(strategy, "name", "?")),
        version=str(getattr(strategy, "version", "?")),
    )


def _place(error: Exception) -> str:
    frames = list(walk_tb(error.__traceback__))
    if not frames:
        return "?"
    frame, line = frames[-1]
    return f"{frame.f_globals.get('__name__', '?')}:{line}"
