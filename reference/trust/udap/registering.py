"""Dynamic registration at a responding payer: new, changed, cancelled (UDAP Security, 3.2 to 3.4).

One client for each client URI and community. Its id follows from the two, so that a change keeps
it, two requests at once make one client, and no community touches another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...clock import Clock
from ...parties import PayerIdentity
from ...registration.clients import Client, ClientRegistry
from ..tokens import TokenStore
from .authority import UdapSettings
from .statements import INVALID, UNAPPROVED, RegistrationRefused, Statement, Statements

# How a payer is known that no setting names: by its URI.
URI_SYSTEM = "urn:ietf:rfc:3986"
_ECHOED = ("client_name", "contacts", "token_endpoint_auth_method")


@dataclass(frozen=True, slots=True)
class RegistrationAnswer:
    """201 for a new client, 200 for a changed or a cancelled one."""

    status: int
    content: Mapping[str, Any]
    client_id: str
    outcome: str
    """registered, changed or cancelled: for the audit record."""


class UdapRegistration:
    """Decides on registrations; keeps clients where all others are kept."""

    def __init__(
        self, settings: UdapSettings, clients: ClientRegistry, tokens: TokenStore,
        statements: Statements, clock: Clock,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.clients = clients
        self.tokens = tokens
        self.statements = statements
        self.clock = clock

    def register(self, body: Mapping[str, Any]) -> RegistrationAnswer:
        """The answer to a registration request; raises RegistrationRefused.

        What stands beside the statement is not looked at: the statement is what is signed
        (RFC 7591, 2.3), and unknown certifications are left aside (udap-reg-18).
        """
        if body.get("udap") != "1":
            raise RegistrationRefused("invalid_request", 'Send udap as "1".', "udap")
        text = body.get("software_statement")
        if not isinstance(text, str):
            raise RegistrationRefused(INVALID, "Send a signed software_statement.", "missing")
        statement = self.statements.read(text, self.clock.now())
        client_id = self.id_of(statement)
        known = self.clients.find(client_id)
        if known and known.state == "suspended":
            # Whoever was shut out by the payer does not come back by itself.
            raise RegistrationRefused(UNAPPROVED, "This client is suspended.", "client-suspended")
        if statement.is_cancellation:
            return self._cancelled(known, client_id, text)
        return self._kept(statement, known, client_id, text)

    def id_of(self, statement: Statement) -> str:
        """The client id of a client URI in a community."""
        both = f"{statement.community.uri}\n{statement.uri}".encode()
        return f"udap-{hashlib.sha256(both).hexdigest()[:32]}"

    def organization(self, uri: str, name: str) -> PayerIdentity:
        """The payer behind a client URI."""
        return self.settings.organizations.get(uri) or PayerIdentity(URI_SYSTEM, uri, name)

    def _kept(
        self, statement: Statement, known: Client | None, client_id: str, text: str
    ) -> RegistrationAnswer:
        claims = statement.claims
        self.clients.register(
            Client(
                client_id, claims["client_name"],
                self.organization(statement.uri, claims["client_name"]), statement.scopes,
                state=known.state if known else "approved",
                udap_uri=statement.uri, community=statement.community.uri,
            )
        )  # fmt: skip
        if known and set(known.scopes) - set(statement.scopes):
            # What is no longer registered is no longer granted, by older tokens neither.
            self.tokens.revoke_all(client_id)
        content = {
            "client_id": client_id, "software_statement": text,
            **{name: claims[name] for name in _ECHOED},
            "grant_types": ["client_credentials"], "scope": " ".join(statement.scopes),
        }  # fmt: skip
        outcome = "changed" if known else "registered"
        return RegistrationAnswer(200 if known else 201, content, client_id, outcome)

    def _cancelled(self, known: Client | None, client_id: str, text: str) -> RegistrationAnswer:
        if known is None:
            raise RegistrationRefused(INVALID, "There is no registration to cancel.", "unknown")
        self.clients.remove(client_id)
        self.tokens.revoke_all(client_id)
        content = {"client_id": client_id, "software_statement": text, "grant_types": []}
        return RegistrationAnswer(200, content, client_id, "cancelled")
