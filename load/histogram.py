"""Times as counts of rounded values: they add up over processes, and give percentiles of all."""

from __future__ import annotations

from collections.abc import Mapping

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def rounded(value: float) -> float:
    """The value with three digits: one in a thousand at most is lost of it."""
    return float(f"{value:.3g}")


def quantile(counts: Mapping[float, int], share: float) -> float | None:
    """The nearest rank of all values; None without any."""
    rank, left = int(share * sum(counts.values())), -1
    for value in sorted(counts):
        left += counts[value]
        if left >= rank:
            return value
    return max(counts, default=None)
