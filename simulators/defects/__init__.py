"""Defects a simulated payer can be told to have, each naming the requirements it violates.

One function a defect, registered under the id of the defect catalogue. It changes the simulator it
is given: an answer on its way out, or a decision of the payer.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ...reference.errors import SettingsError
from ..responding import RespondingSimulator
from . import (  # noqa: F401 - they register
    authorization,
    bulk_match,
    discovery,
    export,
    files,
    groups,
    isolation,
    key_sets,
    match,
    options,
    payload,
    profiles,
    retrieval,
    scopes,
    token_status,
    transport,
    udap,
    udap_access,
    udap_registration,
)
from .registry import DEFECTS, Defect

__all__ = ["DEFECTS", "Defect", "apply"]


def apply(simulator: RespondingSimulator, idents: Iterable[str]) -> None:
    """Give the simulated payer these defects; raises SettingsError for an unknown one."""
    for ident in idents:
        if ident not in DEFECTS:
            near = difflib.get_close_matches(ident, DEFECTS, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise SettingsError(
                f"There is no defect {ident}.{hint} payer-exchange defects lists them."
            )
        DEFECTS[ident].install(simulator)
