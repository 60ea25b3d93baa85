"""One run against one target: what has been asked and answered, each exchange made once.

Scenarios draw their evidence from here. What was asked once is not asked again, so that a full run
costs the target few requests. Evidence that cannot be had raises CannotTell with the reason; the
scenario that is about the refusal itself looks at the raw exchange.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from ..reference.credentials import credentials
from ..reference.egress import EgressRules
from ..reference.errors import PayerExchangeError, TargetError, TargetUnreachable
from ..reference.fhir.pdex import MATCH
from ..reference.http import Exchange, HttpClient
from ..reference.pace import Pace
from ..reference.parties import PayerIdentity
from ..reference.settings import Settings
from ..reference.target import AccessToken, Target, identifier_query
from .bulk_run import BulkRun
from .capability import declared_operations
from .checks.profiles import Judged
from .delivered import Export, export_parameters
from .following import follow, follow_pages
from .key_set import KeySetRun
from .kicking_off import KickOffs
from .match_body import match_body
from .recorder import Recorder
from .transport_run import TransportRun
from .truth import capped
from .udap_run import UdapRun
from .verdicts import CannotTell, NotApplicable

T = TypeVar("T")
_NO_MATCH = ("The Group that [target] group names is exported: no member is matched, and no truth "
             "table says what it holds.")  # fmt: skip


class TargetRun:
    """The target of a run, its truth table, and everything it has answered so far."""

    def __init__(self, settings: Settings, recorder: Recorder) -> None:
        self.settings = settings
        self.recorder = recorder
        self.pace = Pace(settings.target.rate)
        self.http = HttpClient(
            EgressRules(typed=settings.target.fhir_base),
            timeout_s=settings.target.timeout_s,
            observer=recorder,
            tls=settings.target.tls.files(settings),
            pace=self.pace,
        )
        self.target = Target(
            settings.target.fhir_base,
            self.http,
            credentials(settings),
            token_url=settings.target.auth.token_url,
            own_origins=settings.target.origins(),
            scopes=settings.target.auth.scopes(settings.target.pdex_version),
        )
        self._kept: dict[tuple[str, ...], Any] = {}
        self._failed: dict[tuple[str, ...], CannotTell] = {}

    def clean_up(self) -> list[str]:
        """Take back what the run left at the target; a sentence for each that could not be."""
        if "key_set" in vars(self):
            self.key_set.host.close()
        return self.udap.clean_up()

    @property
    def name(self) -> str:
        """What a report calls the target."""
        return self.settings.target.fhir_base

    @property
    def group(self) -> str:
        """The Group that is exported without a match; empty where members are matched."""
        return self.settings.target.group

    # The truth table

    @cached_property
    def members(self) -> Mapping[str, Any]:
        """The truth table; raises CannotTell when none is configured.

        Raises NotApplicable where a named Group is exported: no table says what it holds.
        """
        if self.group:
            raise NotApplicable(_NO_MATCH)
        if not self.settings.members.file:
            raise CannotTell(
                "No truth table is configured: set [members] file in payer-exchange.toml."
            )
        path = self.settings.path(self.settings.members.file)
        try:
            found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CannotTell(f"The truth table {path.name} cannot be read.") from error
        return found

    def request(self, name: str) -> Mapping[str, Any]:
        """The match request of that name; raises CannotTell when the table has none."""
        for entry in self.members.get("requests", []):
            if entry["name"] == name:
                return dict(entry)
        lack = self.members.get("lacks", {}).get(name, f"The truth table has no request {name!r}.")
        raise CannotTell(
            f"{lack} Add a match request {name!r}; payer-exchange population writes an example."
        )

    def member(self, key: str) -> Mapping[str, Any]:
        """The member with that key; raises CannotTell when the table has none."""
        for entry in self.members.get("members", []):
            if entry["key"] == key:
                return capped(entry) if self.is_capped else dict(entry)
        raise CannotTell(
            f"The truth table has no member {key!r}. Add one; "
            "payer-exchange population says what each member is for."
        )

    @property
    def is_capped(self) -> bool:
        """Whether the version has a payer keep back what is older than five years (2.1.0)."""
        return self.settings.target.pdex_version == "2.1.0"

    @property
    def requester(self) -> PayerIdentity:
        """Who asks: as the settings say, else as the truth table names the requesting payer."""
        own = self.settings.identity.identity()
        return own if own.value else _identity(self.members["requesting_payer"])

    @property
    def responder(self) -> PayerIdentity:
        """The target as consents name it."""
        return _identity(self.members["responding_payer"])

    # Evidence, each made once

    def smart_configuration(self) -> Exchange:
        """The SMART discovery exchange."""
        return self.once(("smart",), self.target.smart_configuration)

    def capability(self) -> Exchange:
        """The exchange of /metadata."""
        return self.once(("metadata",), lambda: self.target.get("metadata"))

    def capability_statement(self) -> Mapping[str, Any]:
        """The CapabilityStatement; raises CannotTell when there is none."""
        exchange = self.capability()
        return self.json_of(exchange, "CapabilityStatement")

    def token(self, purpose: str, member: str = "") -> AccessToken:
        """A token for the match or for data; raises CannotTell when it is refused."""
        auth = self.settings.target.auth
        scope = auth.match_scope if purpose == "match" else auth.data_scope
        binding = auth.member_binding if member else "none"
        return self.once(
            ("token", purpose, member),
            lambda: self.target.token(scope, member=member, binding=binding),
            # The target renews by itself: a kept one could be expired.
            keep=False,
        )

    def data_token(self, name: str) -> AccessToken:
        """A token for the data that the match request of that name leads to."""
        return self.token("data", "" if self.group else self.member_id(name))

    @cached_property
    def kick_offs(self) -> KickOffs:
        """Kick-offs by the method that the target takes."""
        return KickOffs(self.target)

    @cached_property
    def bulk(self) -> BulkRun:
        """What the target does for many members at once."""
        return BulkRun(self)

    @cached_property
    def udap(self) -> UdapRun:
        """What the target does by UDAP."""
        return UdapRun(self)

    @cached_property
    def judged(self) -> Judged:
        """What the profile validator says of delivered resources, each judged once."""
        return Judged()

    @cached_property
    def key_set(self) -> KeySetRun:
        """The client whose keys the judge publishes; raises CannotTell where none is configured."""
        return KeySetRun(self)

    @cached_property
    def transport(self) -> TransportRun:
        """What the target does over other connections."""
        return TransportRun(self)

    def declares(self, kind: str, operation: str) -> bool:
        """Whether the CapabilityStatement declares an operation on a type, by name or canonical."""
        return operation in declared_operations(self.capability_statement(), kind)

    @property
    def is_bulk_only(self) -> bool:
        """Whether the target offers the exchange of many members and not that of one."""
        return self.bulk.is_offered and not self.declares("Patient", "member-match")

    def match(self, name: str) -> Exchange:
        """The answer to the match request of that name.

        Raises NotApplicable when the target declares bulk exchange only (pdex-191).
        """
        self.require_single()
        return self.once(
            ("match", name),
            lambda: self.target.post(
                "Patient/$member-match", self.match_body(name), self.token("match")
            ),
        )

    def match_body(self, name: str, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The Parameters of a match request, or of a changed one, its Consent dated from today."""
        return match_body(wanted or self.request(name), self.requester, self.responder)

    def member_id(self, name: str) -> str:
        """The Patient id a match answered with, by MemberId or by a search for its identifier.

        Raises CannotTell when the match gave none, and NotApplicable where nobody is matched.
        """
        if self.group:
            raise NotApplicable(_NO_MATCH)
        if self.is_bulk_only:
            return self._id_by_group(name)
        parameters = self._parameters(self.match(name))
        reference = parameters.get("MemberId", {}).get("valueReference", {}).get("reference", "")
        if reference:
            return str(reference).rstrip("/").rsplit("/", 1)[-1]
        return self._id_by_identifier(name, parameters)

    def export(self, name: str, **options: str) -> Export:
        """The `$export` of the member that a match request finds, to the last byte."""
        key = ("export", name, *(f"{k}={v}" for k, v in sorted(options.items())))
        return self.once(key, lambda: self._export(name, options))

    def kick_off(
        self,
        name: str,
        parameters: Mapping[str, Any] | None,
        *,
        token: AccessToken | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """The raw kick-off of an export of the member that a match request finds.

        By POST, or by GET without parameters or where the target takes no POST. A target with bulk
        exchange only exports the Group of this one member (pdex-193), by POST alone.
        """
        token = token or self.data_token(name)
        if self.group:
            url = f"Group/{self.group}/$export"
        elif self.is_bulk_only:
            if parameters is None:
                raise NotApplicable("The target declares bulk exchange only, which is by POST.")
            url, parameters = self.bulk.kick_off_of(name, parameters)
        else:
            url = f"Patient/{self.member_id(name)}/$export"
        return self.kick_offs.send(url, token, parameters, headers)

    def require_pressure(self) -> None:
        """Raise CannotTell unless more may be asked of the target than is polite."""
        if not self.settings.target.may_be_pressed:
            raise CannotTell("This asks more of the target than is polite: set [target] "
                             "may_be_pressed = true where that is welcome.")  # fmt: skip

    def require_single(self) -> None:
        """Raise NotApplicable when the target declares bulk exchange only (pdex-191).

        Or where a named Group is exported.
        """
        if self.group:
            raise NotApplicable(_NO_MATCH)
        if self.is_bulk_only:
            raise NotApplicable("The target declares bulk exchange only, without $member-match.")

    def everything(self, name: str, query: str = "") -> list[Exchange]:
        """Every page of `$everything` for the member that a match request finds."""
        self.require_single()
        return self.once(("everything", name, query), lambda: self._everything(name, query))

    def search(self, name: str, query: str) -> Exchange:
        """The answer to a search within the record of the member that a match request finds."""
        member = self.member_id(name)
        token = self.token("data", member)
        url = query.replace("{member}", member)
        return self.once(("search", name, query), lambda: self.target.get(url, token))

    def json_of(self, exchange: Exchange, kind: str = "") -> dict[str, Any]:
        """The JSON object of a 200 answer, of a type when given; raises CannotTell otherwise."""
        if exchange.status != 200:
            raise CannotTell(f"The request before this check was answered {exchange.status}.")
        try:
            found = Target.read_json(exchange)
        except TargetError as error:
            raise CannotTell(str(error)) from error
        if kind and found.get("resourceType") != kind:
            raise CannotTell(f"The request before this check was answered with no {kind}.")
        return found

    # How it is made

    def once(self, key: tuple[str, ...], make: Callable[[], T], *, keep: bool = True) -> T:
        """What was made under the key, or the same reason again why it could not be made."""
        if key in self._failed:
            raise self._failed[key]
        if key in self._kept:
            return self._kept[key]  # type: ignore[no-any-return]
        try:
            made = make()
        except TargetUnreachable as error:
            # Not kept: who went down may come up again.
            raise CannotTell(str(error)) from error
        except PayerExchangeError as error:
            self._failed[key] = CannotTell(str(error))
            raise self._failed[key] from error
        if keep:
            self._kept[key] = made
        return made

    def forget(self, *key: str) -> None:
        """Ask again for what was kept under a key: the target has been changed since."""
        self._kept.pop(key, None)
        self._failed.pop(key, None)

    def _parameters(self, exchange: Exchange) -> dict[str, Any]:
        found = self.json_of(exchange, "Parameters")
        entries = found.get("parameter")
        return {
            p.get("name", ""): p
            for p in (entries if isinstance(entries, list) else [])
            if isinstance(p, dict)
        }

    def _id_by_identifier(self, name: str, parameters: Mapping[str, Any]) -> str:
        identifier = parameters.get("MemberIdentifier", {}).get("valueIdentifier", {})
        query = identifier_query(identifier)
        token = self.token("data")
        exchange = self.once(("by-identifier", name), lambda: self.target.get(query, token))
        entries = self.json_of(exchange, "Bundle").get("entry", [])
        if len(entries) != 1:
            raise CannotTell("The identifier of the match leads to no single Patient.")
        return str(entries[0]["resource"]["id"])

    def _id_by_group(self, name: str) -> str:
        """The same of a bulk match of one member (pdex-193)."""
        found = [e.reference for e in self.bulk.match_names(name).entries() if e.code == MATCH]
        if len(found) != 1:
            raise CannotTell("The bulk match of this one member led to no Patient.")
        return found[0].rstrip("/").rsplit("/", 1)[-1]

    def _export(self, name: str, options: Mapping[str, str]) -> Export:
        # Matched anew where a Group is the handle: the consent of another match may count by now.
        self.forget("bulk-match-of", name)
        return self.follow(Export(self.kick_off(name, export_parameters(options))), name)

    def follow(self, export: Export, asker: str | Callable[[], AccessToken]) -> Export:
        """Poll and download an export that was kicked off; failures are kept in it.

        The tokens are those for the data of the request of that name, or come from the function
        given.
        """
        token = asker if callable(asker) else lambda: self.data_token(str(asker))
        return follow(self.target, export, token)

    def _everything(self, name: str, query: str) -> list[Exchange]:
        member = self.member_id(name)
        token = self.token("data", member)
        url = f"Patient/{member}/$everything" + (f"?{query}" if query else "")
        return follow_pages(self.target, url, token)


def _identity(content: Mapping[str, Any]) -> PayerIdentity:
    identifier = content["identifier"]
    return PayerIdentity(identifier["system"], identifier["value"], content.get("name", ""))
