"""What one scenario is looking at: the exchange, the export or the pages it asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..reference.http import Exchange
from .bulk_run import BulkMatch
from .delivered import DeliveredFile, Export
from .run import TargetRun
from .verdicts import CannotTell


@dataclass(slots=True)
class Seen:
    """The evidence of one scenario; what was looked at is kept for the report."""

    run: TargetRun
    exchanges: list[Exchange] = field(default_factory=list)
    pages: list[Exchange] = field(default_factory=list)
    request: str = ""
    _export: Export | None = None
    moment: str = ""
    batch: BulkMatch | None = None

    def look_at(self, exchange: Exchange) -> Exchange:
        """Make an exchange the one the next checks are about."""
        self.exchanges.append(exchange)
        return exchange

    def look_at_all(self, exchanges: Iterable[Exchange]) -> list[Exchange]:
        """Make several exchanges part of the evidence; the checks go on about the last of them."""
        found = list(exchanges)
        self.exchanges += found
        return found

    @property
    def exchange(self) -> Exchange:
        """The exchange the checks are about."""
        if not self.exchanges:
            raise CannotTell("Nothing was asked of the target in this scenario.")
        return self.exchanges[-1]

    @property
    def export(self) -> Export:
        """The export the checks are about."""
        if self._export is None:
            raise CannotTell("Nothing was exported in this scenario.")
        return self._export

    def look_at_export(self, export: Export) -> None:
        """Make an export the one the next checks are about."""
        self._export = export
        self.exchanges.append(export.kick_off)
        self.exchanges += export.polls[-1:]

    def meant(self) -> Mapping[str, Any]:
        """The member whom the scenario's match request means, as the truth table knows them."""
        wanted = self.run.request(self.request).get("member")
        if not wanted:
            raise CannotTell("The match request of this scenario means no member.")
        return self.run.member(wanted)

    def files(self) -> list[DeliveredFile]:
        """The files of the export; raises CannotTell when it came to no manifest."""
        _ = self.export.manifest
        return self.export.files

    def json(self, kind: str = "") -> dict[str, Any]:
        """The JSON object of the answer; raises CannotTell when it is none."""
        return self.run.json_of(self.exchange, kind)

    def resources(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Everything delivered, by type and id: of the export, or of the pages."""
        found = self.export.resources() if self._export and not self.pages else page_resources(self)
        return {(str(r.get("resourceType")), str(r.get("id"))): r for r in found}

    def evidence(self) -> tuple[str, ...]:
        """The ids of the exchanges that were looked at."""
        ids = (self.run.recorder.id_of(exchange) for exchange in self.exchanges)
        return tuple(dict.fromkeys(ident for ident in ids if ident))


def page_resources(seen: Seen) -> list[Mapping[str, Any]]:
    """The resources on the pages that were asked for."""
    found = []
    for page in seen.pages:
        for entry in seen.run.json_of(page, "Bundle").get("entry", []):
            if isinstance(entry.get("resource"), Mapping):
                found.append(entry["resource"])
    return found
