"""The target of a load run: reached as its client reaches it, and only where load may go."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..reference.credentials import credentials
from ..reference.egress import EgressRules
from ..reference.http import Exchange
from ..reference.settings import Settings
from ..reference.target import Target
from .asking_again import PatientClient
from .permission import Permission


def open_target(
    settings: Settings,
    observer: Callable[[Exchange], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    tries: int = 1,
    *,
    connections: int = 10,
) -> Target:
    """The target as a client with up to so many connections, that asks so often for one answer.

    Raises SettingsError where no load may go.
    """
    Permission(settings.target).check(settings.target.fhir_base)
    http = PatientClient(
        EgressRules(typed=settings.target.fhir_base),
        timeout_s=settings.target.timeout_s,
        observer=observer,
        tls=settings.target.tls.files(settings),
        tries=tries,
        sleep=sleep,
        connections=connections,
    )
    return Target(
        settings.target.fhir_base,
        http,
        credentials(settings),
        token_url=settings.target.auth.token_url,
        own_origins=settings.target.origins(),
        sleep=sleep,
        scopes=settings.target.auth.scopes(settings.target.pdex_version),
    )
