"""Where load may go, and how much of it: this machine, or where an operator has agreed to it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..reference.egress import is_loopback_host, normal_origin, origins_of
from ..reference.errors import SettingsError
from ..reference.http import origin_of
from ..reference.settings import TargetSettings
from .scenario import HIGHEST_RATE, LONGEST_RUN_S, MOST_IN_FLIGHT, Scenario

# No file and no setting goes beyond this, on this machine or elsewhere.
MOST_MEGABYTES = 20_000.0


@dataclass(frozen=True, slots=True)
class Caps:
    """What a run may do at most."""

    rate_per_s: float = HIGHEST_RATE
    at_once: float = MOST_IN_FLIGHT
    seconds: float = LONGEST_RUN_S
    megabytes: float = MOST_MEGABYTES

    def check(self, scenario: Scenario, run_s: float) -> None:
        """Raise SettingsError when a run would go beyond a cap, before anything is sent."""
        terms = scenario.arrivals
        opened = terms.model == "open"
        asked = {
            "rate_per_s": max(terms.rate_per_s, terms.peak_per_s) if opened else 0.0,
            "at_once": terms.in_flight if opened else terms.users,
            "seconds": run_s,
        }
        for name, value in asked.items():
            cap = getattr(self, name)
            if value > cap:
                raise SettingsError(
                    f"{scenario.name} asks for {name} = {value:g}, and {cap:g} is agreed at most. "
                    f"Lower it in the scenario, or agree on more: [target.load] most_{name}."
                )


@dataclass(frozen=True, slots=True)
class Permission:
    """Where the load of a run may go."""

    target: TargetSettings

    def check(self, url: str) -> None:
        """Raise SettingsError for a URL beyond this machine that no operator has agreed to."""
        if is_loopback(url) or (self._is_agreed() and normal_origin(url) in self._origins()):
            return
        raise SettingsError(
            f"{origin_of(url)} is not on this machine. Load is sent elsewhere only where its "
            "operator has agreed: write who did into [target.load] agreed_by of the settings file, "
            "and the agreed most_rate_per_s, most_at_once, most_seconds and most_megabytes. Files "
            "on another host than the target's need its origin in file_origins."
        )

    def caps(self) -> Caps:
        """What may be done at most: the whole on this machine, elsewhere what was agreed."""
        if is_loopback(self.target.fhir_base):
            return Caps()
        agreed, most = self.target.load, Caps()
        return Caps(
            min(agreed.most_rate_per_s, most.rate_per_s),
            min(agreed.most_at_once, most.at_once),
            min(agreed.most_seconds, most.seconds),
            min(agreed.most_megabytes, most.megabytes),
        )

    def _is_agreed(self) -> bool:
        return bool(self.target.load.agreed_by.strip())

    def _origins(self) -> frozenset[str]:
        own = (self.target.fhir_base, *self.target.origins())
        return origins_of((*own, *self.target.load.file_origins.split()))


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine, told by its text alone: names are not looked up."""
    return is_loopback_host(urlsplit(url).hostname or "")
