"""What the child process runs: the users, our options, the limits, and the figures at the end.

Locust loads this file by its path, so its own imports are absolute. With workers each process
measures for itself and reports to the master, which alone writes the figures.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
from gevent.os import make_nonblocking, nb_read
from locust import events
from locust.runners import MasterRunner, WorkerRunner
from payer_exchange.load.generator import SelfCheck
from payer_exchange.load.measures import measured
from payer_exchange.load.scenario import LONGEST_RUN_S, read_scenario
from payer_exchange.load.timeline import Timeline
from payer_exchange.load.users import OwnOptions, RequestingPayer

__all__ = ["RequestingPayer"]

_STOP_NOW = "payer-stop-now"


def _add_options(parser: Any, **_: Any) -> None:
    parser.add_argument("--payer-config", include_in_web_ui=False)
    parser.add_argument("--payer-url", default="", include_in_web_ui=False)
    parser.add_argument("--payer-figures", default="", include_in_web_ui=False)
    parser.add_argument("--payer-scenario", include_in_web_ui=False)
    parser.add_argument("--payer-seconds", type=float, include_in_web_ui=False)
    parser.add_argument("--payer-flavour", default="pdex", include_in_web_ui=False)
    parser.add_argument("--payer-requester", default="", include_in_web_ui=False)
    parser.add_argument("--payer-megabytes", type=float, include_in_web_ui=False)
    parser.add_argument("--payer-processes", type=int, default=1, include_in_web_ui=False)


class _Process:
    """This process of the run: alone, the master, or one of its workers."""

    def __init__(self, environment: Any) -> None:
        self.environment, self.runner = environment, environment.runner
        self.options = environment.parsed_options
        environment.payer_timeline = self.timeline = Timeline(environment.events)
        # The master's options come over a worker's own when the run starts: paths of another
        # machine. What leads to the target is each process's own.
        environment.payer_options = own = OwnOptions.of(self.options)
        self.timeline.warm_up_s = read_scenario(own.scenario).arrivals.warm_up_s
        self._check = SelfCheck()

    def listen(self) -> None:
        """Ask Locust to be told of what happens."""
        heard = self.environment.events
        heard.user_error.add_listener(self._harness_broke)
        heard.test_start.add_listener(self._started)
        works = isinstance(self.runner, WorkerRunner)
        if not (works and self.options.processes):  # a master's own children are told by it
            gevent.spawn(self._stop_at_end_of_input)
        if works:
            heard.report_to_master.add_listener(lambda data, **_: self.timeline.report(data))
            self.runner.register_message(_STOP_NOW, self._hurry)
            return
        heard.worker_report.add_listener(self._reported)
        heard.quitting.add_listener(self._tell)

    def _harness_broke(self, exception: BaseException, **_: Any) -> None:
        self.timeline.own.harness_errors.append(type(exception).__name__)

    def _started(self, **_: Any) -> None:
        # What was imported and made so far stays to the end: looking through it for garbage again
        # and again would hold up starts by tens of milliseconds.
        gc.collect()
        gc.freeze()
        # Whatever asked for a longer run: a forgotten load test must not go on for a night.
        gevent.spawn_later(LONGEST_RUN_S, self.runner.quit)
        gevent.spawn(self._watch)

    def _watch(self) -> None:
        # The master of workers starts nothing itself: that it is busy with reports delays nobody.
        generates = not isinstance(self.runner, MasterRunner)
        for used in _processor_use():
            own = self.timeline.own
            if generates:
                own.problem = self._check.look(
                    used, own.starts, warming_up=self.timeline.warming_up
                )
                self.timeline.used(used)
            if not isinstance(self.runner, WorkerRunner):
                self._progress()
                if self.timeline.megabytes > self.options.payer_megabytes:
                    own.problem = (
                        f"The run was stopped: it brought {self.timeline.megabytes:,.0f} MB, and "
                        f"{self.options.payer_megabytes:,.0f} are agreed at most."
                    )
                if self.timeline.problem:
                    self._stop_now()
                    return
                if sum(s.done for s in self.timeline.shares) == self.options.payer_processes:
                    self.runner.quit()
                    return

    def _progress(self) -> None:
        file = Path(self.options.payer_figures).with_name("load-progress.json")
        passing = file.with_suffix(".part")
        passing.write_text(json.dumps(self.timeline.now()), encoding="utf-8")
        passing.replace(file)

    def _reported(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        self.timeline.take(client_id, data)

    def _stop_at_end_of_input(self) -> None:
        make_nonblocking(sys.stdin.fileno())
        while nb_read(sys.stdin.fileno(), 1):
            continue
        self._stop_now()

    def _stop_now(self) -> None:
        """Stop without waiting for journeys under way: each deletes its job on its way out."""
        self._hurry()
        if isinstance(self.runner, MasterRunner):
            self.runner.send_message(_STOP_NOW)
        self.runner.quit()

    def _hurry(self, **_: Any) -> None:
        self.environment.stop_timeout = 0

    def _tell(self, **_: Any) -> None:
        told = measured(self.environment, self.timeline)
        Path(self.options.payer_figures).write_text(json.dumps(told), encoding="utf-8")


def _processor_use() -> Iterator[float]:
    """The share of one core that this process used, each second."""
    wall, used = time.monotonic(), time.process_time()
    while True:
        gevent.sleep(1.0)
        now, spent = time.monotonic(), time.process_time()
        yield (spent - used) / (now - wall)
        wall, used = now, spent


def _measure(environment: Any, **_: Any) -> None:
    # The loop's own clock stood still while all was imported: the run would be shorter by that.
    gevent.get_hub().loop.update_now()
    _Process(environment).listen()


_events: Any = events
_events.init_command_line_parser.add_listener(_add_options)
_events.init.add_listener(_measure)
