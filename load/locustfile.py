"""What the child process runs: the users, our options, the time limit, and the figures at the end.

Locust loads this file by its path, so its own imports are absolute.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gevent
from locust import events
from payer_exchange.load.journeys import RequestingPayer
from payer_exchange.load.measures import Tally, measured
from payer_exchange.load.running import LONGEST_RUN_S

__all__ = ["RequestingPayer"]


def _add_options(parser: Any, **_: Any) -> None:
    parser.add_argument("--payer-config", include_in_web_ui=False)
    parser.add_argument("--payer-url", default="", include_in_web_ui=False)
    parser.add_argument("--payer-figures", include_in_web_ui=False)


def _measure(environment: Any, **_: Any) -> None:
    tally, broken = Tally(environment), list[str]()

    def harness_broke(exception: BaseException, **_: Any) -> None:
        broken.append(type(exception).__name__)

    def bound(**_: Any) -> None:
        # Whatever asked for a longer run: a forgotten load test must not go on for a night.
        gevent.spawn_later(LONGEST_RUN_S, environment.runner.quit)

    def tell(**_: Any) -> None:
        busy = environment.runner.cpu_warning_emitted
        told = measured(environment, tally) | {"harness_errors": broken, "generator_was_busy": busy}
        file = Path(environment.parsed_options.payer_figures)
        file.write_text(json.dumps(told), encoding="utf-8")

    environment.events.user_error.add_listener(harness_broke)
    environment.events.test_start.add_listener(bound)
    environment.events.quitting.add_listener(tell)


_events: Any = events
_events.init_command_line_parser.add_listener(_add_options)
_events.init.add_listener(_measure)
