"""The UDAP half of a run: the metadata, and a client of the judge's own that registers and goes.

Registrations are made under the certificate's `probe_uri` alone, so that the registration a real
client lives by is never touched, and they are cancelled when the run ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ..reference.clock import SystemClock
from ..reference.credentials import udap_identity
from ..reference.errors import PayerExchangeError
from ..reference.fhir import media
from ..reference.http import Exchange
from ..reference.trust.pki import Issued, TestAuthority, read_issued
from ..reference.trust.udap.client import UdapClient
from ..reference.trust.udap.identity import UdapIdentity
from .verdicts import CannotTell, NotApplicable

if TYPE_CHECKING:
    from .run import TargetRun

_SECTION = "[target.auth.udap]"


class UdapRun:
    """What the target says and does by UDAP, each exchange made once where it can be."""

    def __init__(self, run: TargetRun) -> None:
        self._run = run
        self._registered: list[UdapClient] = []
        self._is_whole = False
        self.clock = SystemClock()

    # Discovery

    def answer(self, community: str = "") -> Exchange:
        """The raw answer at `.well-known/udap`, asked without credentials."""
        query = f"?{urlencode({'community': community})}" if community else ""
        url = f"{self._run.target.fhir_base}/.well-known/udap{query}"
        return self._run.once(
            ("udap", community), lambda: self._run.target.get(url, accept=media.JSON)
        )

    def document(self) -> Mapping[str, Any]:
        """The metadata of the configured community.

        Raises NotApplicable where there is none, and CannotTell where it cannot be read.
        """
        exchange = self.described()
        return self._run.json_of(exchange)

    def described(self) -> Exchange:
        """The answer with the metadata; raises NotApplicable when the target offers no UDAP."""
        exchange = self.answer(self._settings.community)
        if not is_offered(exchange):
            raise NotApplicable("The target offers no UDAP.")
        if exchange.status != 200:
            raise CannotTell("The target keeps its UDAP metadata from those it does not know.")
        return exchange

    # The judge's own client

    @cached_property
    def identity(self) -> UdapIdentity:
        """Who the judge is, under `probe_uri`; raises CannotTell without a certificate for it."""
        self.described()
        if not self._settings.certificate:
            raise CannotTell(
                f"The target offers UDAP, and no certificate is configured: set {_SECTION} "
                "certificate, key and trust_anchors."
            )
        if not self._settings.probe_uri:
            raise CannotTell(
                "Registrations are made and cancelled under a URI of their own: set "
                f"{_SECTION} probe_uri to a second URI of the certificate."
            )
        found = udap_identity(self._run.settings, self._settings.probe_uri)
        assert found is not None
        return found

    @cached_property
    def client(self) -> UdapClient:
        """The judge's own client, not registered yet."""
        return self.client_as(self.identity)

    def client_as(self, identity: UdapIdentity) -> UdapClient:
        """Another client of the judge's, cancelled like the first when the run ends."""
        self.document()
        settings = self._run.settings.target
        scopes = settings.auth.scopes(settings.pdex_version)
        client = UdapClient(settings.fhir_base, self._run.http, identity, self.clock,
                            scopes=scopes)  # fmt: skip
        self._registered.append(client)
        return client

    def register(self) -> Exchange:
        """The answer to the registration of the judge's client in full, made when it is gone."""

        def make() -> Exchange:
            exchange = self.client.submit(self.client.statement())
            self.client.keep(exchange)
            return exchange

        exchange = self._run.once(("udap-registered",), make)
        self._is_whole = True
        return exchange

    def registered(self) -> UdapClient:
        """The judge's client, registered in full."""
        self.document()
        self.register()
        if not self._is_whole:
            self._run.forget("udap-registered")
            self.register()
        return self.client

    def disturb(self) -> None:
        """Say that the registration is changed: it is made anew before it is needed again."""
        self._is_whole = False
        self._run.forget("udap-registered")

    def clean_up(self) -> list[str]:
        """Cancel what was registered; returns a sentence for each that could not be."""
        problems = []
        for client in self._registered:
            try:
                exchange = client.cancel()
            except PayerExchangeError as error:
                problems.append(f"A UDAP registration may be left at the target: {error}")
                continue
            if exchange.status not in (200, 400):
                problems.append(
                    f"The UDAP registration of {client.identity.uri} could not be cancelled "
                    f"(status {exchange.status}). Ask the target to remove it."
                )
        return problems

    def post(self, url: str, form: Mapping[str, str]) -> Exchange:
        """The answer of the token endpoint to a form."""
        headers = {"Content-Type": media.FORM, "Accept": media.JSON}
        return self._run.http.request("POST", url, headers=headers, body=urlencode(form).encode())

    # Certificates that are not to be taken

    @cached_property
    def authority(self) -> TestAuthority:
        """The test authority that the target trusts; raises CannotTell when none is configured."""
        return self._authority(self._settings.test_authority, "test_authority")

    @cached_property
    def other_authority(self) -> TestAuthority:
        """The same of another community."""
        return self._authority(self._settings.other_authority, "other_authority")

    @property
    def other_community(self) -> str:
        """The URI of another community; raises CannotTell when none is configured."""
        if not self._settings.other_community:
            raise CannotTell(f"Another trust community is needed: set {_SECTION} other_community.")
        return str(self._settings.other_community)

    def revoked(self) -> Issued:
        """A certificate that the test authority has revoked; raises CannotTell without one."""
        _ = self.authority
        folder = self._run.settings.path(self._settings.test_authority)
        if not (folder / "test-revoked.pem").is_file():
            raise CannotTell(f"There is no test-revoked.pem in {_SECTION} test_authority.")
        return read_issued(folder / "test-revoked.pem", folder / "test-revoked.key.pem")

    def by(self, issued: Issued) -> UdapIdentity:
        """The judge's identity with another certificate."""
        return replace(self.identity, issued=issued)

    def _authority(self, folder: str, name: str) -> TestAuthority:
        if not folder:
            raise CannotTell(
                f"Bad certificates are made by a test authority: set {_SECTION} {name} to a folder "
                "of payer-exchange init --test-pki that the target trusts."
            )
        return TestAuthority.read(self._run.settings.path(folder), self.clock)

    @property
    def _settings(self) -> Any:
        return self._run.settings.target.auth.udap


def is_offered(exchange: Exchange) -> bool:
    """Whether an answer is UDAP metadata, or keeps it from those without credentials."""
    if exchange.status == 200:
        return exchange.body.lstrip()[:1] == b"{"
    return exchange.status in (401, 403)
