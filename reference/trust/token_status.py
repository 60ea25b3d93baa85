"""What a client may ask about its tokens, and that it may end them (RFC 7662, RFC 7009).

Each client sees and ends its own tokens only. Another client's token is answered like one that
does not exist, so that nobody learns by asking which tokens there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .authorization import AuthorizationServer, OAuthError
from .mutual_tls import ClientCertificate, confirmation

INACTIVE: Mapping[str, Any] = {"active": False}


class TokenStatus:
    """The introspection and the revocation endpoint of one authorization server."""

    def __init__(self, server: AuthorizationServer) -> None:
        self._server = server

    def introspect(
        self,
        form: Mapping[str, list[str]],
        header: str | None,
        certificate: ClientCertificate | None = None,
    ) -> tuple[dict[str, Any], str]:
        """What a token of the caller's allows, and who the caller is.

        An unknown, expired, revoked or foreign token gives `active` false and nothing else
        (RFC 7662, 2.2). The caller authenticates as at the token endpoint, or by an access token
        (SMART App Launch 2.2, token introspection). Raises OAuthError for a stranger.
        """
        client_id = self._caller(form, header, certificate)
        found = self._server.tokens.find(_token(form), self._server.clock.now())
        if found is None or found.client_id != client_id:
            return dict(INACTIVE), client_id
        answer: dict[str, Any] = {
            "active": True,
            "scope": " ".join(found.asked),
            "client_id": client_id,
            "exp": int(found.expires),
            "token_type": "bearer",
        }
        if found.thumbprint:
            answer["cnf"] = confirmation(found.thumbprint)
        return ({**answer, "patient": found.member} if found.member else answer), client_id

    def revoke(
        self,
        form: Mapping[str, list[str]],
        header: str | None,
        certificate: ClientCertificate | None = None,
    ) -> str:
        """End a token of the caller's at once; returns who the caller is.

        A token that is none, or another client's, changes nothing and is no error (RFC 7009, 2.2).
        Raises OAuthError for a stranger.
        """
        client, _ = self._server.authenticate(form, header, certificate)
        self._server.tokens.revoke(_token(form), client.client_id)
        return client.client_id

    def _caller(
        self,
        form: Mapping[str, list[str]],
        header: str | None,
        certificate: ClientCertificate | None,
    ) -> str:
        if (header or "").partition(" ")[0].lower() != "bearer":
            return self._server.authenticate(form, header, certificate)[0].client_id
        grant = self._server.authorize(header, certificate)
        if grant is None:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise OAuthError(401, "invalid_token", "The access token is not valid.",
                             reason="bearer", headers=challenge)  # fmt: skip
        return grant.client_id


def _token(form: Mapping[str, list[str]]) -> str:
    found = form.get("token", [])
    if len(found) != 1 or not found[0]:
        raise OAuthError(400, "invalid_request", "Send the token in the field token, once.")
    return found[0]
