"""Whether the target went down while it was judged, and at which exchange.

Negative scenarios send what some servers die of. What they died of is the finding; that nothing
answers afterwards says nothing of the scenarios that follow.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..reference.errors import TargetError, TargetHungUp, TargetUnreachable
from ..reference.http import Exchange
from .run import TargetRun
from .verdicts import CannotTell, CheckFailed

RETURN_WITHIN_S = 30


@dataclass(slots=True)
class Watch:
    """What is seen of a target that stops answering."""

    run: TargetRun
    down_at: str = ""
    """The id of the exchange that was its last; empty while it answers."""

    def explain(self, error: BaseException | None) -> tuple[BaseException | None, tuple[str, ...]]:
        """What a scenario ended with, and the exchanges that show it.

        The scenario at whose request the target went down fails. Those that follow, while nothing
        answers, cannot be judged and say since when.
        """
        if _cause(error, TargetUnreachable) is None:
            return error, ()
        if self.down_at and not self._came_back():
            return CannotTell(f"The target stopped answering at {self.down_at}. Start it again and "
                              "go on with --resume."), (self.down_at,)  # fmt: skip
        if _cause(error, TargetHungUp) is None or self._answers():
            return error, ()
        self.down_at = self._last()
        self._await_return()
        return CheckFailed("The target went down at this request: what it logged says why.",
                           "an answer, and be it an error",
                           "the connection was closed, and no other can be made",
                           evidence=self.down_at), (self.down_at,)  # fmt: skip

    def _await_return(self) -> None:
        """Wait half a minute: some are started again by themselves, and the rest can be judged."""
        for _ in range(RETURN_WITHIN_S):
            self.run.target.wait(1)
            if self._answers():
                return

    def _answers(self) -> bool:
        """Whether it still does: a connection alone may be closed for many reasons."""
        try:
            self.run.http.request("GET", self.run.target.absolute("metadata"))
        except TargetUnreachable:
            return False
        except TargetError:
            return True
        return True

    def _came_back(self) -> bool:
        """Whether anything was answered since: some are started again by themselves."""
        return any(ident > self.down_at and exchange.status
                   for ident, exchange in self.run.recorder.exchanges)  # fmt: skip

    def _last(self) -> str:
        """The last exchange before we looked whether the target still answers."""
        asked: list[tuple[str, Exchange]] = self.run.recorder.exchanges
        return asked[-2][0]


def _cause(error: BaseException | None, kind: type[TargetUnreachable]) -> TargetUnreachable | None:
    """The error of that kind behind what a scenario ended with, or None."""
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__
    return None
