"""A second client of the target, for another payer: it must reach nothing of the first one's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from ..reference.credentials import credentials
from ..reference.errors import PayerExchangeError
from ..reference.http import Exchange
from ..reference.target import AccessToken, Target
from .bulk_run import for_payers
from .delivered import Export, export_parameters
from .kicking_off import KickOffs
from .run import TargetRun
from .verdicts import CannotTell

_NONE = (
    "A second client is needed, registered for another payer: set [target.other_client] "
    "client_id and private_key in payer-exchange.toml."
)
_BATCH = "known answers"
# A member whose whole record the first client is allowed.
_NAME = "unique"


@dataclass(frozen=True, slots=True)
class Place:
    """Something the first client reaches: how it is asked for."""

    method: str
    url: str
    body: Mapping[str, Any] | None = None


class OtherClient:
    """Asks, as another payer, for what the first client's matches opened."""

    def __init__(self, run: TargetRun) -> None:
        settings = run.settings
        auth = settings.target.other_client
        if not (auth.client_id or auth.token):
            raise CannotTell(_NONE)
        self._run = run
        self._target = Target(
            settings.target.fhir_base,
            run.http,
            credentials(settings, auth),
            token_url=auth.token_url or settings.target.auth.token_url,
        )
        self._kick_offs = KickOffs(self._target)

    def token(self, **options: Any) -> AccessToken:
        """Its own token for data; raises CannotTell when it gets none."""
        try:
            return self._target.token(self._run.settings.target.other_client.data_scope, **options)
        except PayerExchangeError as error:
            raise CannotTell(f"The second client got no token. {error}") from error

    def ask(self, place: Place) -> Exchange:
        """The answer to the other client; an export that it could start is taken back."""
        token = self.token()
        if place.method == "POST":
            answer = self._kick_offs.send(place.url, token, place.body)
            location = answer.header("Content-Location")
            if answer.status == 202 and location:
                self._target.delete(urljoin(answer.url, location), token)
            return answer
        ask = self._target.delete if place.method == "DELETE" else self._target.get
        return ask(place.url, token)

    def match(self, body: Mapping[str, Any]) -> Exchange:
        """The answer to a member match of the other client."""
        token = self._target.token(self._run.settings.target.other_client.match_scope)
        return self._target.post("Patient/$member-match", body, token)

    def token_of(self, member: str, binding: str) -> AccessToken | None:
        """A token bound to a member whom the other client never matched; None when refused."""
        try:
            return self._target.token(
                self._run.settings.target.other_client.data_scope, member=member, binding=binding
            )
        except PayerExchangeError:
            return None

    def place(self, name: str) -> Place:
        """A place by name; raises CannotTell or NotApplicable where the first one has none."""
        if "Group" in name:
            return self._of_group(name)
        if "export" in name:
            return self._of_export(name)
        member = self._run.member_id(_NAME)
        places = {
            "the Patient": f"Patient/{member}",
            "everything of the member": f"Patient/{member}/$everything",
            "a search of the member's claims": f"ExplanationOfBenefit?patient={member}",
            "the Provenance of the member's record": f"Provenance?target=Patient/{member}",
            "a resource of the record": self._resource(),
        }
        return Place("GET", places[name])

    def _resource(self) -> str:
        for found in self._export().resources("ExplanationOfBenefit", "Condition", "Observation"):
            return f"{found['resourceType']}/{found.get('id')}"
        raise CannotTell("The export holds no resource that could be asked for.")

    def _of_group(self, name: str) -> Place:
        ident = self._run.bulk.match(_BATCH).matched().get("id")
        if name == "the Group":
            return Place("GET", f"Group/{ident}")
        wanted = for_payers(export_parameters({}))
        return Place("POST", f"Group/{ident}/$davinci-data-export", wanted)

    def _of_export(self, name: str) -> Place:
        if name == "a new export of the member":
            member = self._run.member_id(_NAME)
            self._run.require_single()
            return Place("POST", f"Patient/{member}/$export", export_parameters({}))
        export = self._export()
        if name == "a file of the export":
            if not export.files:
                raise CannotTell("The export has no file.")
            return Place("GET", urljoin(export.kick_off.url, export.files[0].url))
        assert export.result is not None
        return Place("GET", export.result.status_url)

    def _export(self) -> Export:
        export = self._run.export(_NAME)
        _ = export.manifest
        return export
