"""The log: one JSON object a line, with an event and fields from a list, and nothing else.

A message made of words could hold what a member is called, what was sent, or a secret. So no
message is written: an event has a name that stands in the source, and fields that are allowed here.
What other libraries log is told by logger and level alone.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import TextIO

from .errors import SettingsError

# All that may be told. Errors by their type, code by its place, requests by the name of the route.
FIELDS = frozenset(
    {"error", "place", "route", "method", "status", "client", "exchange", "batch", "part", "job",
     "strategy", "version", "step", "milliseconds"}
)  # fmt: skip
# An id, a name of ours, a place in the source: no blanks, so no sentence and no person's name.
_VALUE = re.compile(r"[\w./:$<>-]{0,128}", re.ASCII)
_ROOT = "payer_exchange"
_KEY = "event_fields"


def tell(logger: logging.Logger, level: int, event: str, **fields: str | float) -> None:
    """Log an event; raises ValueError for a field that is not on the list."""
    unknown = fields.keys() - FIELDS
    if unknown:
        raise ValueError(f"not a field of the log: {sorted(unknown)}")
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={_KEY: {n: _shown(v) for n, v in fields.items()}})


class EventFormatter(logging.Formatter):
    """Writes a record as one JSON object, without any message that was not named by `tell`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; neither message, arguments nor traceback of others are in it."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        fields = getattr(record, _KEY, None)
        if isinstance(fields, dict) and record.name.startswith(_ROOT):
            told |= {"event": str(record.msg), **fields}
        elif record.exc_info and record.exc_info[0]:
            told["error"] = record.exc_info[0].__name__
        return json.dumps(told)


def log_to(stream: TextIO, level: str) -> None:
    """Send the log of this process to a stream, in JSON lines from a level on.

    Raises SettingsError for a level that there is not.
    """
    if level.upper() not in logging.getLevelNamesMapping():
        raise SettingsError("PAYER_EXCHANGE_LOG is debug, info, warning or error.")
    lines = logging.StreamHandler(stream)
    lines.setFormatter(EventFormatter())
    logging.basicConfig(handlers=[lines], level=level.upper(), force=True)


def _shown(value: str | float) -> str | float:
    if isinstance(value, str) and not _VALUE.fullmatch(value):
        return "withheld"
    return value
