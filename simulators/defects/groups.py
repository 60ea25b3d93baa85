"""Defects of finding Groups again, and of their exports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...reference.errors import BadRequest
from ...reference.exporting import Asked
from ..responding import RespondingSimulator
from .bulk_match import FOUND_AGAIN
from .registry import DELIVERED_BULK, WITHDRAWN, change_json, defect

# Finding Groups again


@defect("R63", "A matched Group cannot be read", *FOUND_AGAIN,
        also=("bulk-p2p-03", "pdex-187"))  # fmt: skip
def group_unreadable(simulator: RespondingSimulator) -> None:
    for name in ("read_group", "vread_group"):
        simulator.app.view_functions[f"fhir.{name}"] = simulator.absent


@defect(
    "R63-search",
    "Groups cannot be searched",
    "pdex-160",
    "pdex-157",
    "pdex-394",
    "cap-06",
    "pdex-search-code-combos",
    "pdex-search-identifier-forms",
    "pdex-search-valueref",
)
def groups_unsearchable(simulator: RespondingSimulator) -> None:
    simulator.app.view_functions["fhir.search_group"] = simulator.absent


def _search_ignores(ident: str, words: str, parameter: str, *requirements: str) -> None:
    @defect(ident, words, *requirements)
    def install(simulator: RespondingSimulator) -> None:
        payer = simulator.payer
        strict = payer.search_groups

        def search(grant: Any, pairs: Any, **options: Any) -> Any:
            return strict(grant, [p for p in pairs if p[0] != parameter], **options)

        payer.search_groups = search  # type: ignore[method-assign]


_search_ignores("R63-identifier", "A search for an identifier finds every Group", "identifier",
                "pdex-157", "pdex-search-identifier-forms")  # fmt: skip
_search_ignores("R63-code", "A search for a code finds every Group", "code",
                "pdex-search-code-combos")  # fmt: skip
_search_ignores("R63-value", "A search for whom a Group is for finds every Group",
                "characteristic-value-reference", "pdex-search-valueref")  # fmt: skip


# Group exports


@defect(
    "R65-group",
    "A Group cannot be exported for payer-to-payer",
    "atr-export-instance",
    "pdex-164",
    "bulk-p2p-01",
    also=("pdex-scope-group", "scope-18", "bulk-p2p-03", "pdex-187", "bulk-kickoff-18", "pdex-188"),
)
def no_data_export(simulator: RespondingSimulator) -> None:
    simulator.app.view_functions["fhir.data_export"] = simulator.absent


@defect("R65-plain", "A Group cannot be exported by the Bulk Data operation", "bulk-kickoff-05",
        also=("bulk-group-01",))  # fmt: skip
def no_group_export(simulator: RespondingSimulator) -> None:
    simulator.app.view_functions["fhir.export_group"] = simulator.absent


@defect("R73", "A Group export holds everybody the client has matched", "bulk-group-01",
        "atr-export-patient-all", also=("bulk-kickoff-05", *WITHDRAWN))  # fmt: skip
def everybody_exported(simulator: RespondingSimulator) -> None:
    _asks_otherwise(simulator, lambda _asked, pairs: (Asked(), _plain(pairs)))


@defect("R73-unknown", "A Group nobody has is exported", "bulk-p2p-04", also=("scope-17",))
def unknown_group_exported(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.kick_off

    def kick_off(grant: Any, url: str, pairs: Any, **options: Any) -> Any:
        try:
            return strict(grant, url, pairs, **options)
        except BadRequest as refused:
            if refused.status != 404 or not options["asked"].group:
                raise
            return strict(grant, url, _plain(pairs), **{**options, "asked": Asked()})

    payer.kick_off = kick_off  # type: ignore[method-assign]


@defect("R73-patient", "A Group export is not narrowed to the patients asked for",
        "atr-export-patient-ignore", "bulk-status-13")  # fmt: skip
def patients_ignored(simulator: RespondingSimulator) -> None:
    _asks_otherwise(
        simulator, lambda asked, pairs: (asked, [p for p in pairs if p[0] != "patient"])
    )


@defect("R71-until", "A Group export does not look at _until", "atr-export-until")
def until_ignored(simulator: RespondingSimulator) -> None:
    _asks_otherwise(simulator, lambda asked, pairs: (asked, [p for p in pairs if p[0] != "_until"]))


@defect("V5-clamp", "An old since is not raised in 2.1.0", "pdex-v210-since-clamp",
        version="2.1.0")  # fmt: skip
def since_not_raised(simulator: RespondingSimulator) -> None:
    simulator.payer.exports.version = "2.2.0"


@defect("V5-cap", "What is older than five years is delivered in 2.1.0", "pdex-v210-5yr-cap",
        version="2.1.0")  # fmt: skip
def not_capped(simulator: RespondingSimulator) -> None:
    releases = simulator.payer.releases
    releases.scope = replace(releases.scope, years=None)


@defect("R68-group", "A Group export holds some types only", "pdex-158", "pdex-168", "pdex-210",
        also=(*DELIVERED_BULK, "atr-export-patient-all", *WITHDRAWN))  # fmt: skip
def group_types(simulator: RespondingSimulator) -> None:
    def change(asked: Asked, pairs: Any) -> tuple[Asked, Any]:
        return asked, pairs if "_type" in dict(pairs) else [*pairs, ("_type", "Patient,Coverage")]

    _asks_otherwise(simulator, change)


@defect("R80-group", "The counts of a Group export are wrong", "atr-response-rules",
        also=("bulk-man-09", "bulk-man-10"))  # fmt: skip
def group_counts(simulator: RespondingSimulator) -> None:
    def change(manifest: dict[str, Any]) -> None:
        for entry in manifest.get("output", []):
            entry["count"] = entry.get("count", 0) + 1

    change_json(simulator, "status", change)


def _plain(pairs: Any) -> list[tuple[str, str]]:
    return [p for p in pairs if p[0] != "exportType"]


def _asks_otherwise(
    simulator: RespondingSimulator, change: Callable[[Asked, Any], tuple[Asked, Any]]
) -> None:
    """Group exports are asked for something else, in silence."""
    payer = simulator.payer
    strict = payer.kick_off

    def kick_off(grant: Any, url: str, pairs: Any, *, asked: Asked, **options: Any) -> Any:
        if asked.group is None:
            return strict(grant, url, pairs, asked=asked, **options)
        strict(grant, url, pairs, asked=asked, **options)  # refuses what has to be refused
        other, kept = change(asked, list(pairs))
        return strict(grant, url, kept, asked=other, **options)

    payer.kick_off = kick_off  # type: ignore[method-assign]
