"""The target of a load run: reached as its client reaches it, and only where load may go."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from ..reference.credentials import credentials
from ..reference.egress import EgressRules
from ..reference.errors import SettingsError
from ..reference.http import Exchange, HttpClient, origin_of
from ..reference.settings import Settings
from ..reference.target import Target


def open_target(settings: Settings, observer: Callable[[Exchange], None] | None = None) -> Target:
    """The target as a client with connections of its own; raises SettingsError outside loopback."""
    refuse_elsewhere(settings.target.fhir_base)
    http = HttpClient(EgressRules(typed=settings.target.fhir_base),
                      timeout_s=settings.target.timeout_s, observer=observer)  # fmt: skip
    return Target(
        settings.target.fhir_base,
        http,
        credentials(settings),
        token_url=settings.target.auth.token_url,
        own_origins=settings.target.origins(),
        scopes=settings.target.auth.scopes(settings.target.pdex_version),
    )


def refuse_elsewhere(url: str) -> None:
    """Raise SettingsError when a URL leads beyond this machine.

    Load on a payer's real endpoint needs that payer's agreement; until a setting can state it, none
    is sent.
    """
    if not is_loopback(url):
        raise SettingsError(
            f"{origin_of(url)} is not on this machine. Load is only sent to loopback addresses: "
            "a setting that confirms the other payer's agreement is not supported yet."
        )


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine, told by its text alone: names are not looked up."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
