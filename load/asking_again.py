"""A client that asks again, as a requesting payer does, where a request came to no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from ..reference.answered import retry_after
from ..reference.errors import TargetHungUp, TargetUnreachable, TlsRefused
from ..reference.http import Exchange, HttpClient

T = TypeVar("T")
_BUSY = 503
# So long a client waits for a payer that may be starting anew.
_DOWN_S = 1.0


class PatientClient(HttpClient):
    """Asks again: after a closed connection, a 503, or where nobody listens.

    At once, as late as the 503 says, or after a second. `tries` is how often in all. Each try is
    told to the observer: what failed before it is counted.
    """

    def __init__(
        self, *arguments: Any, tries: int, sleep: Callable[[float], None], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._tries, self._sleep = tries, sleep

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        follow: bool = True,
    ) -> Exchange:
        """As of the parent, of the last try."""
        ask = super().request
        return self._until_answered(
            lambda: ask(method, url, headers=headers, body=body, follow=follow),
            lambda exchange: exchange,
        )

    def stream(
        self, url: str, *, headers: Mapping[str, str] | None = None, follow: bool = True
    ) -> tuple[Exchange, Iterator[bytes]]:
        """As of the parent, of the last try. What breaks off half-way is not asked for again."""
        ask = super().stream
        return self._until_answered(
            lambda: ask(url, headers=headers, follow=follow), lambda found: _drained(*found)
        )

    def _until_answered(self, ask: Callable[[], T], exchange_of: Callable[[T], Exchange]) -> T:
        for _ in range(self._tries - 1):
            try:
                found = ask()
            except TargetHungUp:
                continue
            except TlsRefused:  # it will not be another certificate the next time
                raise
            except TargetUnreachable:
                self._sleep(_DOWN_S)
                continue
            exchange = exchange_of(found)
            if exchange.status != _BUSY:
                return found
            self._sleep(retry_after(exchange, datetime.now(UTC)) or 1.0)
        return ask()


def _drained(exchange: Exchange, chunks: Iterator[bytes]) -> Exchange:
    """The head; a body that nobody will read is read to its end, for the next request's sake."""
    if exchange.status == _BUSY:
        for _ in chunks:
            pass
    return exchange
