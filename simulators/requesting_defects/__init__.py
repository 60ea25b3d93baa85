"""Defects of a simulated requesting payer: what goes over the wire, and what is made of it.

Each changes the process that `payer-exchange answer-trigger` runs in, and no other.
"""

from __future__ import annotations

from . import batches, credentials, exports, later, matches, tokens  # noqa: F401 - they register
from .registry import REQUESTING_DEFECTS, RequestingDefect, break_requester

__all__ = ["REQUESTING_DEFECTS", "RequestingDefect", "break_requester"]
