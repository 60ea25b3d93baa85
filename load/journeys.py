"""The Locust users: requesting payers that go their journeys one after the other (closed model)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, ClassVar

from locust import User, constant, task

from ..reference.settings import Settings
from .journey import Journey
from .measures import LocustMeter
from .members import TruthTable, read_truth
from .running import settings_for
from .target import open_target, refuse_elsewhere

# Comparing a delivery reads every line; each user's first is compared, then one of these many.
_SAMPLE_EVERY = 5


class RequestingPayer(User):
    """A requesting payer with connections, tokens and members of its own.

    It speaks through the reference's client, so that what is measured is what a real client meets.
    Locust's fast client reads a stream two to three times as fast; this one reads and counts about
    400 MB/s on one core, which is far from being what a run of a few users waits for.
    """

    wait_time = constant(0)
    _numbers: ClassVar[itertools.count[int]] = itertools.count()

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        options = environment.parsed_options
        self._settings: Settings = settings_for(Path(options.payer_config), options.payer_url)
        self._truth: TruthTable = read_truth(self._settings)
        self._meter = LocustMeter(environment)
        self._target = open_target(self._settings, self._meter)
        auth = self._settings.target.auth
        self._journey = Journey(self._target, auth, self._truth, self._meter)
        # Users start at different members, so that they do not all ask for the same one at once.
        members, start = self._truth.members, next(self._numbers) % len(self._truth.members)
        self._members = itertools.cycle(members[start:] + members[:start])
        self._turns = itertools.cycle((self._export, self._everything, self._export, self._export))
        self._exports, self._everythings = itertools.count(), itertools.count()

    def on_start(self) -> None:
        with self._meter.step("discovery", 200):
            self._meter.token_url = self._target.token_url()
        refuse_elsewhere(self._meter.token_url)

    def on_stop(self) -> None:
        self._target.http.close()

    @task
    def journey(self) -> None:
        # In turns and not by chance: the shortest run has gone every journey.
        next(self._turns)()

    def _export(self) -> None:
        self._journey.export(next(self._members), sampled=_is_sampled(self._exports))

    def _everything(self) -> None:
        self._journey.everything(next(self._members), sampled=_is_sampled(self._everythings))


def _is_sampled(turns: itertools.count[int]) -> bool:
    return next(turns) % _SAMPLE_EVERY == 0
