"""Faults that a simulated payer can be told to have: what goes wrong of itself, by chance.

A fault breaks no rule of a guide, as a defect does; it is what networks and servers do now and
then, and a client has to survive it. Each is `NAME=HOW MUCH`: a share (`reset=5%`) or a time
(`token-life=30s`, `delay=200ms`). What meets whom is drawn with a seed.
"""

from __future__ import annotations

import errno
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..reference.errors import SettingsError

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

# Where a request finds what lets the next one go on before it.
END_TURN = "payer_exchange.end_turn"
TOKEN_LIFE = "token-life"  # noqa: S105 - the name of a fault
FAULTS = {
    "reset": "a share of requests: the connection is closed without an answer",
    "cut": "a share of answers: the connection is closed half-way through",
    "busy": "a share of requests: 503 with Retry-After",
    "delay": "a time: every answer is that late",
    TOKEN_LIFE: "a time: access tokens count no longer",
}
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)%")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_WHOLE = 100
_TIMED = ("delay", TOKEN_LIFE)
_BUSY = [("Retry-After", "1"), ("Content-Length", "0")]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: a share from 0 to 1, or seconds."""

    name: str
    amount: float


def read_faults(specs: Iterable[str]) -> tuple[Fault, ...]:
    """The faults that are told; raises SettingsError for what is none."""
    return tuple(_read(spec) for spec in specs)


def token_life(faults: Iterable[Fault], default: int) -> int:
    """How long access tokens count, in whole seconds and at least one."""
    told = [fault.amount for fault in faults if fault.name == TOKEN_LIFE]
    return max(1, round(told[-1])) if told else default


def with_faults(app: WsgiApp, faults: Sequence[Fault], seed: int) -> WsgiApp:
    """The application with the faults that meet its requests; itself where there are none."""
    met = [fault for fault in faults if fault.name != TOKEN_LIFE]
    return _Faulty(app, met, seed) if met else app


class _Faulty:
    """Draws for each request what happens to it: at most one fault, and the delay in any case."""

    def __init__(self, app: WsgiApp, faults: Sequence[Fault], seed: int) -> None:
        self._app = app
        self._delay_s = sum(fault.amount for fault in faults if fault.name == "delay")
        self._shares = [(f.name, f.amount) for f in faults if f.name != "delay"]
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._delay_s:
            environ.get(END_TURN, lambda: None)()
            time.sleep(self._delay_s)
        name = self._drawn()
        if name == "reset":
            raise _reset()
        if name == "busy":
            start_response("503 Service Unavailable", _BUSY)
            return []
        answer = self._app(environ, start_response)
        return _half(answer) if name == "cut" else answer

    def _drawn(self) -> str:
        with self._lock:
            drawn = self._random.random()
        for name, share in self._shares:
            if drawn < share:
                return name
            drawn -= share
        return ""


def _half(answer: Iterable[bytes]) -> Iterator[bytes]:
    """Half of an answer, and then no connection any more."""
    close = getattr(answer, "close", lambda: None)
    try:
        whole = b"".join(answer)
    finally:
        close()
    yield whole[: len(whole) // 2]
    raise _reset()


def _reset() -> ConnectionResetError:
    # The one error for which the server closes a connection and says nothing.
    return ConnectionResetError(errno.ECONNRESET, "a fault that was asked for")


def _read(spec: str) -> Fault:
    name, _, told = spec.partition("=")
    if name not in FAULTS:
        raise SettingsError(f"There is no fault {name}. There is {', '.join(FAULTS)}.")
    if name in _TIMED:
        if found := _TIME.fullmatch(told):
            return Fault(name, float(found[1]) / (1000 if found[2] == "ms" else 1))
        raise SettingsError(f"The fault {name} takes a time, such as {name}=30s or {name}=200ms.")
    if (found := _SHARE.fullmatch(told)) and float(found[1]) <= _WHOLE:
        return Fault(name, float(found[1]) / _WHOLE)
    raise SettingsError(f"The fault {name} takes a share of 100 % at most, such as {name}=5%.")
