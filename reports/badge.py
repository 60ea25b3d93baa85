"""The verdict as a badge: a small SVG for a README or a dashboard."""

from __future__ import annotations

from xml.sax.saxutils import escape

from .results import Results

_COLOURS = {"pass": "#1a7f37", "warn": "#9a6700", "fail": "#cf222e", "error": "#8250df"}
# The width of a letter of the face below at its size, on average.
_LETTER, _PADDING, _HEIGHT = 6.6, 10, 20


def render(results: Results) -> str:
    """The badge of a run: PDex and version on the left, verdict and numbers on the right."""
    left = f"PDex {results.pdex_version}"
    right = f"{results.verdict} {_numbers(results)}"
    first, second = _width(left), _width(right)
    label = escape(f"{left}: {right}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{first + second}" height="{_HEIGHT}" '
        f'role="img" aria-label="{label}"><title>{label}</title>'
        f'<rect width="{first}" height="{_HEIGHT}" fill="#444c56"/>'
        f'<rect x="{first}" width="{second}" height="{_HEIGHT}" '
        f'fill="{_COLOURS[results.verdict]}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" '
        f'text-anchor="middle"><text x="{first / 2:g}" y="14">{escape(left)}</text>'
        f'<text x="{first + second / 2:g}" y="14">{escape(right)}</text></g></svg>\n'
    )


def _numbers(results: Results) -> str:
    counts = results.counts
    judged = counts["pass"] + counts["warn"] + counts["fail"]
    return f"{counts['pass']}/{judged}"


def _width(text: str) -> int:
    return round(len(text) * _LETTER + 2 * _PADDING)
