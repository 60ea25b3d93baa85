"""Who is at the other end of a connection: the client certificate that the listener verified.

It comes from the listener itself, never from a header, which anybody could write.
"""

from __future__ import annotations

from flask import request

from ..reference.errors import BadRequest
from ..reference.responding_settings import RespondingSettings
from ..reference.trust.authorization import OAuthError
from ..reference.trust.mutual_tls import REQUIRED, ClientCertificate, client_certificate

CERTIFICATE = "SSL_CLIENT_CERT"


def peer_certificate() -> ClientCertificate | None:
    """The certificate of the caller's connection, or None without one."""
    pem = request.environ.get(CERTIFICATE)
    return client_certificate(pem) if pem else None


def require_certificate(settings: RespondingSettings, *, at_token_endpoint: bool = False) -> None:
    """Raise where client certificates are required and the connection has none.

    Discovery does not ask this: it is open to ordinary TLS (HRex ep-2). OAuthError 401 at the token
    endpoint, BadRequest 401 elsewhere.
    """
    if settings.mutual_tls != REQUIRED or request.environ.get(CERTIFICATE):
        return
    text = "Connect with the client certificate that is registered for you."
    if at_token_endpoint:
        raise OAuthError(401, "invalid_client", text, reason="certificate-missing")
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    raise BadRequest(text, status=401, code="login", headers=challenge)
