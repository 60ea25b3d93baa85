"""Thresholds of a load run: a TOML file read strictly, and the verdict on each with its margin."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..reference.errors import SettingsError
from ..reference.toml_files import read_toml
from .figures import Figures, Measure, ThresholdVerdict

# What can be limited; the names are those of the figures.
MEASURES = (
    "discovery",
    "token",
    "match",
    "search",
    "kick-off",
    "status",
    "status-impatient",
    "file",
    "delete",
    "everything",
    "time-to-manifest",
    "polls",
    "time-to-first-byte",
    "download",
    "downloads",
    "resumed",
    "begun-anew",
    "job",
    "token-job",
    "match-job",
    "search-job",
    "everything-job",
    "bulk-match-job",
    "bulk-export-job",
    "group-export-job",
    "exchange-job",
    "bulk-exchange-job",
    "invoke",
    "task",
    "intake",
    "bulk-match",
    "queue-wait",
    "from-intended",
)
# Of the payer's own process: the key, and which of its figures that limits.
_OF_PAYER = {
    "max_memory_mb": "peak_mb",
    "max_memory_growth_mb_per_10min": "growth_mb_per_10min",
    "max_more_open_files": "more_open_files",
}
_AT_LEAST = (
    "min_resources_per_s",
    "min_end_to_end_resources_per_s",
    "min_intake_resources_per_s",
    "min_download_megabytes_per_s",
    "min_all_megabytes_per_s",
)
_OF_ALL = ("error_ratio", *_AT_LEAST, *_OF_PAYER, "measures")
_OF_ONE = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms", "error_ratio")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits a run must keep."""

    error_ratio: float = 0.0
    min_resources_per_s: float | None = None
    min_end_to_end_resources_per_s: float | None = None
    min_intake_resources_per_s: float | None = None
    min_download_megabytes_per_s: float | None = None
    min_all_megabytes_per_s: float | None = None
    payer: Mapping[str, float] = field(default_factory=dict)
    """Limits of the payer's own process, which are judged where it was sampled."""
    measures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def without(self, measures: Collection[str]) -> Thresholds:
        """The same limits, but for those of measures that a run will not have."""
        kept = {name: limit for name, limit in self.measures.items() if name not in measures}
        least = None if "intake" in measures else self.min_intake_resources_per_s
        return replace(self, measures=kept, min_intake_resources_per_s=least)

    def judge(self, figures: Figures) -> tuple[ThresholdVerdict, ...]:
        """The verdict on each limit, in the order of the file."""
        verdicts = [_at_most("error_ratio", self.error_ratio, figures.error_ratio)]
        for name in _AT_LEAST:
            least = getattr(self, name)
            if least is not None:
                measured = getattr(figures, name.removeprefix("min_"))
                verdicts.append(_at_least(name, least, measured))
        taken = figures.footprint
        for name, limit in self.payer.items() if taken else ():
            verdicts.append(_at_most(name, limit, getattr(taken, _OF_PAYER[name])))
        for name, limits in self.measures.items():
            verdicts += _of_measure(name, limits, figures.measure(name))
        return tuple(verdicts)


def read_thresholds(path: Path) -> Thresholds:
    """The thresholds in a file; raises SettingsError naming file, section and nearest key."""
    return thresholds_of(read_toml(path, "The thresholds file"), str(path))


def thresholds_of(content: Mapping[str, Any], file: str) -> Thresholds:
    """The thresholds in the content of a file or of a section of it."""
    known_keys(content, _OF_ALL, f"{file}:")
    measures = section(content.get("measures", {}), f"{file}: [measures]")
    known_keys(measures, MEASURES, f"{file}: section [measures]")
    limits = {}
    for name, one in measures.items():
        where = f"{file}: section [measures.{name}]"
        known_keys(section(one, where), _OF_ONE, where)
        limits[name] = {key: number(value, f"{where} {key}") for key, value in one.items()}
    least = {key: number(content[key], f"{file}: {key}") for key in _AT_LEAST if key in content}
    return Thresholds(
        number(content.get("error_ratio", 0.0), f"{file}: error_ratio"),
        payer={k: number(content[k], f"{file}: {k}") for k in _OF_PAYER if k in content},
        measures=limits,
        **least,
    )


def _of_measure(
    name: str, limits: Mapping[str, float], measure: Measure | None
) -> Iterable[ThresholdVerdict]:
    for key, limit in limits.items():
        attribute = key.removesuffix("_ms")
        yield _at_most(f"{name} {key}", limit, getattr(measure, attribute) if measure else None)


def _at_most(name: str, limit: float, actual: float | None) -> ThresholdVerdict:
    if actual is None:
        return ThresholdVerdict(name, limit, None, met=False, margin=None)
    return ThresholdVerdict(name, limit, actual, actual <= limit, _share(limit - actual, limit))


def _at_least(name: str, limit: float, actual: float | None) -> ThresholdVerdict:
    if actual is None:
        return ThresholdVerdict(name, limit, None, met=False, margin=None)
    return ThresholdVerdict(name, limit, actual, actual >= limit, _share(actual - limit, limit))


def _share(room: float, limit: float) -> float | None:
    return room / limit if limit else None


def known_keys(content: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    """Raise SettingsError for a key that is not one of these, naming the nearest."""
    for key in content:
        if key not in keys:
            near = difflib.get_close_matches(key, list(keys), 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{where} has no key {key}.{hint} It has {', '.join(keys)}.")


def section(value: Any, where: str) -> Mapping[str, Any]:
    """The value as a section; raises SettingsError when it is none."""
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} must be a section.")
    return value


def number(value: Any, where: str) -> float:
    """The value as a number from 0; raises SettingsError when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError(f"{where} must be a number.")
    if value < 0:
        raise SettingsError(f"{where} must not be negative.")
    return float(value)
