"""What the child process runs: the users, our options, the time limit, and the figures at the end.

Locust loads this file by its path, so its own imports are absolute.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import gevent
from locust import events
from payer_exchange.load.generator import SelfCheck
from payer_exchange.load.journeys import RequestingPayer
from payer_exchange.load.measures import Tally, Timeline, measured
from payer_exchange.load.scenario import LONGEST_RUN_S

__all__ = ["RequestingPayer"]


def _add_options(parser: Any, **_: Any) -> None:
    parser.add_argument("--payer-config", include_in_web_ui=False)
    parser.add_argument("--payer-url", default="", include_in_web_ui=False)
    parser.add_argument("--payer-figures", include_in_web_ui=False)
    parser.add_argument("--payer-scenario", include_in_web_ui=False)
    parser.add_argument("--payer-seconds", type=float, include_in_web_ui=False)


def _measure(environment: Any, **_: Any) -> None:
    # The loop's own clock stood still while all was imported: the run would be shorter by that.
    gevent.get_hub().loop.update_now()
    tally, broken = Tally(environment), list[str]()
    environment.payer_timeline = timeline = Timeline(environment)

    def harness_broke(exception: BaseException, **_: Any) -> None:
        broken.append(type(exception).__name__)

    check = SelfCheck()

    def bound(**_: Any) -> None:
        # Whatever asked for a longer run: a forgotten load test must not go on for a night.
        gevent.spawn_later(LONGEST_RUN_S, environment.runner.quit)
        gevent.spawn(watch)

    def watch() -> None:
        wall, used = time.monotonic(), time.process_time()
        while True:
            gevent.sleep(1.0)
            now, spent = time.monotonic(), time.process_time()
            if check.look((spent - used) / (now - wall), timeline.starts):
                environment.runner.quit()
                return
            wall, used = now, spent

    def tell(**_: Any) -> None:
        told = measured(environment, tally, timeline) | {
            "harness_errors": broken,
            "generator_problem": check.problem,
        }
        file = Path(environment.parsed_options.payer_figures)
        file.write_text(json.dumps(told), encoding="utf-8")

    environment.events.user_error.add_listener(harness_broke)
    environment.events.test_start.add_listener(bound)
    environment.events.quitting.add_listener(tell)


_events: Any = events
_events.init_command_line_parser.add_listener(_add_options)
_events.init.add_listener(_measure)
