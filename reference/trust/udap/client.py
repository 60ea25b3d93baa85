"""The requesting side of UDAP: discovery, registration and the assertions of a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from ...clock import Clock
from ...errors import TargetError, TokenRefused
from ...fhir import json, media
from ...http import Exchange, HttpClient
from ..signing import ASSERTION_TYPE
from .identity import UdapIdentity
from .metadata import UdapServer, read_metadata
from .tokens import algorithms_of, short_lived, sign

Changes = Mapping[str, Any] | None


class UdapClient:
    """One client of one payer. It registers when it has no client id, and tells `remember`."""

    def __init__(
        self,
        fhir_base: str,
        http: HttpClient,
        identity: UdapIdentity,
        clock: Clock,
        *,
        client_id: str = "",
        scopes: tuple[str, ...] = (),
        remember: Callable[[str], None] | None = None,
    ) -> None:
        self._base = fhir_base
        self.http = http
        self.identity = identity
        self._clock = clock
        self._client_id = client_id
        self._scopes = scopes
        self._remember = remember
        self._is_kept = bool(client_id)
        self._server: UdapServer | None = None

    def metadata(self, community: str | None = None) -> Exchange:
        """The raw answer to discovery, for this identity's community unless another is named."""
        wanted = self.identity.community if community is None else community
        query = f"?{urlencode({'community': wanted})}" if wanted else ""
        return self.http.request(
            "GET", f"{self._base}/.well-known/udap{query}", headers={"Accept": media.JSON}
        )

    def server(self) -> UdapServer:
        """The payer's endpoints, discovered and checked once; raises TargetError otherwise."""
        if self._server is None:
            exchange = self.metadata()
            if exchange.status in (204, 404):
                community = f" for {self.identity.community}" if self.identity.community else ""
                raise TargetError(f"The payer offers no UDAP{community}.", status=exchange.status)
            if exchange.status != 200:
                raise TargetError(f"UDAP discovery was answered {exchange.status}.",
                                  status=exchange.status)  # fmt: skip
            self._server = read_metadata(
                exchange.json_object(), self._base, self.identity.trust, self._clock.now()
            )
        return self._server

    def statement(
        self,
        *,
        claims: Changes = None,
        headers: Changes = None,
        identity: UdapIdentity | None = None,
    ) -> str:
        """A software statement; claims and headers may be changed, to probe (udap-reg-01 to 12)."""
        by = identity or self.identity
        url = self.server().registration_url
        told = {
            **short_lived(self.identity.uri, url, self._clock.now()),
            "client_name": self.identity.client_name,
            "contacts": list(self.identity.contacts),
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "private_key_jwt",
            "scope": " ".join(self._scopes),
            **(claims or {}),
        }
        return sign(told, by.issued, headers=headers, algorithm=self._algorithm("registration", by))

    def submit(self, statement: str, **members: Any) -> Exchange:
        """The raw answer of the registration endpoint (udap-reg-13); None leaves a member out."""
        body = {"software_statement": statement, "udap": "1", **members}
        return self.http.request(
            "POST", self.server().registration_url,
            headers={"Content-Type": media.JSON, "Accept": media.JSON},
            body=json.write({name: value for name, value in body.items() if value is not None}),
        )  # fmt: skip

    def client_id(self) -> str:
        """The id that the payer assigned; registers first when there is none (udap-reg-25).

        Raises TokenRefused when the registration is refused.
        """
        if not self._client_id:
            self.keep(self.submit(self.statement()))
        return self._client_id

    def keep(self, answer: Exchange) -> None:
        """Go by the id that a registration was answered with; raises TokenRefused without one."""
        self._client_id = self._registered(answer)
        if self._remember:
            self._remember(self._client_id)

    def may_renew(self, answer: Exchange) -> bool:
        """Whether a refused token is worth another registration, which comes with the next one.

        So it is for an id that was given or kept, and not for one that was just assigned.
        """
        if answer.status not in (400, 401) or not self._is_kept or not self._client_id:
            return False
        if answer.json_object().get("error") != "invalid_client":
            return False
        self._client_id, self._is_kept = "", False
        return True

    def cancel(self) -> Exchange:
        """The raw answer to the cancellation of the registration (udap-reg-24)."""
        return self.submit(self.statement(claims={"grant_types": []}))

    def assertion(
        self,
        *,
        claims: Changes = None,
        headers: Changes = None,
        identity: UdapIdentity | None = None,
    ) -> str:
        """An authentication token with the B2B extension; may be changed, to probe."""
        by = identity or self.identity
        url = self.server().token_url
        told = {
            **short_lived(self.client_id(), url, self._clock.now()),
            "extensions": self.identity.extensions(),
            **(claims or {}),
        }
        return sign(told, by.issued, headers=headers, algorithm=self._algorithm("token", by))

    def form(self, scope: str, assertion: str = "") -> dict[str, str]:
        """The form of a token request (udap-tok-01)."""
        return {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
            "udap": "1",
        }

    def _algorithm(self, purpose: str, by: UdapIdentity) -> str:
        """The first algorithm of the key that the server names; empty when it names none."""
        own = algorithms_of(by.issued.certificate)
        named = self.server().algorithms(purpose)
        return next((a for a in own if a in named), "")

    def _registered(self, exchange: Exchange) -> str:
        answer = exchange.json_object() if exchange.status in (200, 201) else {}
        found = answer.get("client_id")
        if not isinstance(found, str) or not found:
            raise TokenRefused(
                f"The UDAP registration was answered {exchange.status} and gave no client id. "
                "Check that the payer trusts this client's certificate and offers its scopes.",
                status=exchange.status,
            )
        return found
