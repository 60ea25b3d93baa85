"""A load scenario: journeys, how they start, and thresholds; a TOML file read strictly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ..reference.errors import SettingsError
from ..reference.toml_files import read_toml
from .shapes import SHAPES, SPACINGS, Shape
from .thresholds import Thresholds, known_keys, number, section, thresholds_of

SCENARIOS = ("LT1", "LT2", "LT3", "LT4", "LT5", "LT6", "LT7", "LT8", "LT10", "LT11", "LT12")
JOURNEYS = (
    "token",
    "match",
    "search",
    "everything",
    "export",
    "bulk-match",
    "bulk-export",
    "group-export",
    "data-export",
    "exchange",
    "bulk-exchange",
)
FLAVOURS = ("pdex", "bulk-data")
_EXPORTS = ("export", "bulk-export", "group-export", "data-export")
# What is measured of a Bulk Data server, and what only a payer that speaks PDex has.
_OF_PDEX = ("match", "search", "everything", "bulk-match")
LONGEST_RUN_S, HIGHEST_RATE, MOST_IN_FLIGHT = 600, 2000.0, 500
# What goes through a requesting payer, which is asked for it.
_EXCHANGES = ("exchange", "bulk-exchange")
_OF_EXCHANGES = ("invoke", "task", "intake", "exchange-job", "bulk-exchange-job")
# Streams of a journey, and how often it downloads a file.
MOST_DOWNLOADS = (64, 10_000)


@dataclass(frozen=True, slots=True)
class Downloads:
    """How the files of an export are downloaded."""

    streams: int = 1
    """Files at once in each journey."""
    gzip: bool = True
    """Whether the server may compress what it sends."""
    repeat: int = 1
    """How often each file of a manifest is downloaded."""
    resume: float = 0.0
    """The share of the repeated downloads that are broken off half-way and resumed."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How journeys start: one after the other by each user, or at moments set beforehand."""

    model: str = "closed"
    """closed, or open: starts do not wait for answers."""
    users: float = 1
    """Of the closed model: requesting payers, each with one journey at a time."""
    spacing: str = "poisson"
    """Of the open model: poisson or fixed."""
    shape: str = "hold"
    """Of the open model: hold, ramp, spike, soak or knee."""
    rate_per_s: float = 1.0
    """Of the open model: starts a second."""
    peak_per_s: float = 0.0
    """What a ramp and a knee go to and a spike jumps to; 0: the rate."""
    in_flight: float = 100
    """Journeys at once; a start that finds them all under way is dropped, and told as such."""
    duration_s: float = 20.0
    warm_up_s: float = 0.0
    """What succeeds in the first so many seconds is kept out of the figures."""
    seed: float = 1

    def shape_over(self, seconds: float) -> Shape:
        """The rates of a run of so many seconds."""
        return Shape(self.shape, self.rate_per_s, self.peak_per_s or self.rate_per_s, seconds)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a run does."""

    name: str
    title: str
    journeys: Mapping[str, float]
    arrivals: Arrivals = field(default_factory=Arrivals)
    thresholds: Thresholds = field(default_factory=Thresholds)
    bulk_members: int = 10
    impatient: float = 0.0
    """The share of journeys whose client polls without waiting as it is told."""
    keeps: bool = False
    """Whether clients keep whom they have matched, and their tokens, from journey to journey."""
    tries: int = 1
    """How often a client asks in all, where its connection is closed or the answer is 503."""
    faults: tuple[str, ...] = ()
    """What goes wrong at the simulated payer that is started for the run."""
    downloads: Downloads = field(default_factory=Downloads)
    kill_at_s: float = 0.0
    """When the simulated payer that is started for the run is killed and started anew; 0: never."""


def read_scenario(name: str) -> Scenario:
    """The scenario that is shipped under a name or is in a file; raises SettingsError."""
    if name in SCENARIOS:
        with as_file(files(__package__) / f"{name}.toml") as shipped:
            return scenario_of(read_toml(shipped, "The scenario"), name)
    path = Path(name)
    if path.suffix != ".toml":
        raise SettingsError(
            f"There is no load scenario {name}. There is {', '.join(SCENARIOS)}, or a .toml file."
        )
    return scenario_of(read_toml(path, "The scenario"), path.stem)


def asked_scenario(name: str, flavour: str, *, requester: bool) -> Scenario:
    """The scenario as it can be asked of a server of that kind, with or without a requesting payer.

    Raises SettingsError when nothing is left of it.
    """
    scenario = flavoured(read_scenario(name), flavour)
    if requester or not exchanges(scenario):
        return scenario
    left = {n: share for n, share in scenario.journeys.items() if n not in _EXCHANGES and share}
    if not left:
        raise SettingsError(
            f"{scenario.name} has only exchanges, which a requesting payer makes: give --requester."
        )
    limits = scenario.thresholds.without(_OF_EXCHANGES)
    return replace(scenario, journeys=left, thresholds=limits)


def exchanges(scenario: Scenario) -> bool:
    """Whether a journey goes through a requesting payer."""
    return any(scenario.journeys.get(name) for name in _EXCHANGES)


def flavoured(scenario: Scenario, flavour: str) -> Scenario:
    """The scenario as a server of that kind can be asked it.

    Of a Bulk Data server only tokens and exports are asked, each export as `data-export`. Raises
    SettingsError when nothing is left.
    """
    if flavour == "pdex":
        return scenario
    exports = sum(scenario.journeys.get(name, 0.0) for name in _EXPORTS)
    shares = {"token": scenario.journeys.get("token", 0.0), "data-export": exports}
    if not any(shares.values()):
        raise SettingsError(
            f"{scenario.name} has no journey that a Bulk Data server knows. Take LT1, LT5, LT6, "
            "LT7 or LT8, or a file with data-export among its journeys."
        )
    limits = scenario.thresholds.measures
    gone = [name for name in limits if name in _OF_PDEX or name.endswith("-job")]
    thresholds = scenario.thresholds.without((*gone, *_OF_EXCHANGES))
    return replace(scenario, journeys={n: s for n, s in shares.items() if s}, thresholds=thresholds)


def scenario_of(content: Mapping[str, Any], name: str) -> Scenario:
    """The scenario in the content of its file."""
    known_keys(content, [f.name for f in fields(Scenario)][1:], f"{name}:")
    where = f"{name}: section [journeys]"
    shares = section(content.get("journeys", {}), where)
    known_keys(shares, JOURNEYS, where)
    journeys = {key: number(value, f"{where} {key}") for key, value in shares.items()}
    if not sum(journeys.values()):
        raise SettingsError(f"{where} names no journey. Name one of {', '.join(JOURNEYS)}.")
    return Scenario(
        name,
        str(content.get("title", name)),
        journeys,
        _arrivals(section(content.get("arrivals", {}), f"{name}: [arrivals]"), name),
        thresholds_of(section(content.get("thresholds", {}), f"{name}: [thresholds]"), name),
        int(number(content.get("bulk_members", 10), f"{name}: bulk_members")),
        min(1.0, number(content.get("impatient", 0.0), f"{name}: impatient")),
        _yes(content.get("keeps", False), f"{name}: keeps"),
        max(1, int(number(content.get("tries", 1), f"{name}: tries"))),
        _texts(content.get("faults", []), f"{name}: faults"),
        downloads=_downloads(section(content.get("downloads", {}), f"{name}: [downloads]"), name),
        kill_at_s=number(content.get("kill_at_s", 0.0), f"{name}: kill_at_s"),
    )


def _texts(found: Any, where: str) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise SettingsError(f"{where} must be a list of texts.")
    return tuple(found)


def _yes(found: Any, where: str) -> bool:
    if not isinstance(found, bool):
        raise SettingsError(f"{where} must be true or false.")
    return found


def _downloads(content: Mapping[str, Any], name: str) -> Downloads:
    where = f"{name}: section [downloads]"
    known_keys(content, [f.name for f in fields(Downloads)], where)
    packed = _yes(content.get("gzip", True), f"{where} gzip")
    counts = [int(number(content.get(key, 1), f"{where} {key}")) for key in ("streams", "repeat")]
    resumed = number(content.get("resume", 0.0), f"{where} resume")
    for key, value, most in zip(("streams", "repeat"), counts, MOST_DOWNLOADS, strict=True):
        if not 1 <= value <= most:
            raise SettingsError(f"{where} {key} must be from 1 to {most}.")
    if resumed > 1 or (resumed and counts[1] == 1):
        raise SettingsError(
            f"{where} resume is a share, of the downloads that repeat an earlier one: it must be 1 "
            "at most, and repeat 2 at least."
        )
    return Downloads(counts[0], packed, counts[1], resumed)


def _arrivals(content: Mapping[str, Any], name: str) -> Arrivals:
    where = f"{name}: section [arrivals]"
    known_keys(content, [f.name for f in fields(Arrivals)], where)
    words = {"model": ("closed", "open"), "spacing": SPACINGS, "shape": SHAPES}
    for key, allowed in words.items():
        if key in content and content[key] not in allowed:
            raise SettingsError(f"{where} {key} must be one of {', '.join(allowed)}.")
    values: dict[str, Any] = {
        k: v if k in words else number(v, f"{where} {k}") for k, v in content.items()
    }
    found = Arrivals(**values)
    _bounded(found, where)
    return found


def _bounded(found: Arrivals, where: str) -> None:
    """Raise SettingsError above the caps: load is bounded, whatever a file says."""
    caps = {
        "duration_s": LONGEST_RUN_S,
        "rate_per_s": HIGHEST_RATE,
        "peak_per_s": HIGHEST_RATE,
        "users": MOST_IN_FLIGHT,
        "in_flight": MOST_IN_FLIGHT,
    }
    for key, cap in caps.items():
        value = getattr(found, key)
        if value > cap or (not value and key != "peak_per_s"):
            raise SettingsError(f"{where} {key} must be above 0 and {cap:g} at most.")
    if found.warm_up_s >= found.duration_s:
        raise SettingsError(f"{where} warm_up_s must be shorter than duration_s.")


def turns(shares: Mapping[str, float]) -> Iterator[str]:
    """Journeys without end, each as often as its share says, mixed evenly and not by chance.

    The first round has each once, in the order of the file: the shortest run has gone them all.
    """
    shares = {name: share for name, share in shares.items() if share}
    whole = sum(shares.values())
    yield from shares
    credit = {name: len(shares) * share - whole for name, share in shares.items()}
    while True:
        for name in credit:
            credit[name] += shares[name]
        chosen = max(credit, key=lambda name: credit[name])
        credit[chosen] -= whole
        yield chosen
