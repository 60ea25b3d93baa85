"""The Locust users: requesting payers, one journey after the other or at moments set beforehand."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, TypeVar

import gevent
from gevent import GreenletExit
from gevent.pool import Pool
from locust import User, constant, task
from locust.exception import StopUser

from ..reference.settings import Settings
from ..reference.target import AccessToken
from .conversation import Conversation
from .exchanging import RequestingSide, open_requesting, read_side
from .journey import Journey
from .measures import LocustMeter
from .members import TruthTable
from .permission import Permission
from .plan import Plan
from .running import settings_for, truth_for
from .scenario import Scenario, asked_scenario
from .shapes import arrivals
from .target import open_target
from .timeline import Timeline

# A start that comes this much after its moment is late: the generator, not the target, held it up.
LATE_S = 0.05
_STOP_S = 25.0
# So long an impatient client waits, whatever it is told.
_IMPATIENT_S = 0.05
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class OwnOptions:
    """What leads this process to the target, wherever the master of the run may be."""

    config: Path
    url: str
    scenario: str
    flavour: str
    requester: str
    """The file of the requesting payer that exchanges go through; empty: none do."""

    @classmethod
    def of(cls, options: Any) -> OwnOptions:
        """Of the options this process was started with."""
        return cls(
            Path(options.payer_config),
            options.payer_url,
            options.payer_scenario,
            options.payer_flavour,
            options.payer_requester,
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """What the clients of a process keep from journey to journey, where they keep anything."""

    tokens: dict[tuple[str, str], AccessToken] = field(default_factory=dict)
    matched: dict[str, str] = field(default_factory=dict)


class Requester:
    """One client with connections and tokens of its own, on one journey at a time.

    It speaks through the reference's client, so that what is measured is what a real client meets.
    Locust's fast client reads a stream two to three times as fast; this one reads and counts about
    400 MB/s on one core, which is far from being what a run of a few users waits for.
    """

    def __init__(
        self,
        settings: Settings,
        truth: TruthTable,
        environment: Any,
        scenario: Scenario,
        kept: Kept,
        side: RequestingSide | None,
    ) -> None:
        self.meter, downloads = LocustMeter(environment), scenario.downloads
        # A connection for each stream, so that none is made anew for each file.
        most = max(10, downloads.streams)
        self.target = open_target(
            settings, self.meter, self._sleep, scenario.tries, connections=most
        )
        if scenario.keeps:
            self.target.tokens = kept.tokens
        self.meter.token_url = settings.target.auth.token_url
        self._may_go = Permission(settings.target)
        matched = kept.matched if scenario.keeps else None
        self._side = (
            open_requesting(settings, side, truth, self.meter, uninterrupted=whole)
            if side
            else None
        )
        talk = Conversation(
            self.target, settings.target, truth, self.meter, whole, downloads, matched
        )
        self.journey = Journey(talk, settings.target.group, self._side)

    def close(self) -> None:
        """Give back its connections."""
        self.target.http.close()
        if self._side:
            self._side.close()

    def _sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, _IMPATIENT_S) if self.journey.talk.impatient else seconds)

    def discover(self) -> str:
        """The token endpoint, which may not be elsewhere either."""
        with self.meter.step("discovery", 200):
            self.meter.token_url = self.target.token_url()
        self._may_go.check(self.meter.token_url)
        return self.meter.token_url


def whole(work: Callable[[], _T]) -> _T:
    """What the work returns, waited for to its end even when this journey is to stop meanwhile.

    A kick-off that is broken off would leave a job at the target that nobody knows of.
    """
    done: list[_T] = []
    failed: list[Exception] = []

    def kept() -> None:
        try:
            done.append(work())
        except Exception as error:  # noqa: BLE001 - raised again below, in the journey
            failed.append(error)

    running = gevent.spawn(kept)
    try:
        running.join()
    except GreenletExit:
        running.join()
        raise
    if failed:
        raise failed[0]
    return done[0]


class RequestingPayer(User):
    """Closed: one client, whose next journey waits for the last. Open: the starts of a process."""

    wait_time = constant(0)
    plans: ClassVar[dict[int, Plan]] = {}
    kept: ClassVar[dict[int, Kept]] = {}

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        own: OwnOptions = environment.payer_options
        self._settings = settings_for(own.config, own.url)
        self._truth = truth_for(self._settings, own.flavour)
        self._scenario = asked_scenario(own.scenario, own.flavour, requester=bool(own.requester))
        self._kept = self.kept.setdefault(id(environment), Kept())
        self._side = read_side(Path(own.requester)) if own.requester else None
        self._first = self._requester()
        self._index = environment.runner.worker_index
        self._processes: int = environment.parsed_options.payer_processes
        # Users share one plan, so that they do not all ask for the same member at once.
        self._plan = self.plans.setdefault(
            id(environment), Plan(self._scenario, self._truth, self._index, self._processes)
        )
        self._timeline: Timeline = environment.payer_timeline

    def on_start(self) -> None:
        url = self._first.discover()
        target = self._settings.target
        known = replace(target, auth=replace(target.auth, token_url=url))
        self._settings = replace(self._settings, target=known)
        if self._scenario.keeps:  # once, and not by each of those who start while the first waits
            self._first.journey.ready()

    def on_stop(self) -> None:
        self._first.close()

    @task
    def journey(self) -> None:
        if self._scenario.arrivals.model == "open":
            self._start_all()
            self._timeline.own.done = True
            raise StopUser
        self._go(self._first)

    def _requester(self) -> Requester:
        return Requester(
            self._settings, self._truth, self.environment, self._scenario, self._kept, self._side
        )

    def _go(self, requester: Requester) -> None:
        name, members, sampled = self._plan.next()
        requester.journey.talk.impatient = self._plan.impatient()
        with self._timeline.under_way():
            requester.journey.go(name, members, sampled=sampled)

    def _start_all(self) -> None:
        """Start every journey at its moment, however long the earlier ones take."""
        terms, options = self._scenario.arrivals, self.environment.parsed_options
        pool, idle = Pool(max(1, int(terms.in_flight) // self._processes)), [self._first]
        begun, self._timeline.begun = perf_counter(), time.time()
        try:
            for moment in self._moments(options.payer_seconds):
                intended = begun + moment
                gevent.sleep(max(0.0, intended - perf_counter()))
                late = perf_counter() - intended > LATE_S
                self._timeline.start(late=late, dropped=pool.full())
                if not pool.full():
                    pool.spawn(self._arrive, idle, intended)
            pool.join(timeout=_STOP_S)
        finally:
            pool.kill()  # each deletes its job at the target on its way out

    def _moments(self, seconds: float) -> Iterator[float]:
        terms = self._scenario.arrivals
        shape = terms.shape_over(seconds)
        every = arrivals(shape, terms.spacing, seed=int(terms.seed))
        # Each process draws all and takes its own of them: together they are exactly the plan.
        return itertools.islice(every, self._index, None, self._processes)

    def _arrive(self, idle: list[Requester], intended: float) -> None:
        found = idle.pop() if idle else self._requester()
        try:
            self._go(found)
            found.meter.measure("from-intended", (perf_counter() - intended) * 1000)
        finally:
            idle.append(found)
