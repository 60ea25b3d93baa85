"""The endpoints beside the token endpoint: introspection and revocation of tokens."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from flask import Blueprint, Response, request

from ..reference.fhir import media
from ..reference.responding import RespondingPayer
from ..reference.trust.authorization import OAuthError
from ..reference.trust.token_status import TokenStatus
from .answers import json_answer
from .peers import peer_certificate

# The last segment of each endpoint, which lies beside the token endpoint.
INTROSPECT, REVOKE = "introspect", "revoke"


def endpoint_url(payer: RespondingPayer, name: str) -> str:
    """The address of an endpoint as others see it."""
    return urljoin(payer.settings.token_url, name)


class TrustRoutes:
    """Answers at the endpoints of one payer."""

    def __init__(self, payer: RespondingPayer) -> None:
        self._payer = payer
        self.status = TokenStatus(payer.authorization)

    def add_to(self, outside: Blueprint, token_path: str) -> None:
        """Mount the endpoints at the payer's own address and at the public one (both may be)."""
        for name, answer in ((INTROSPECT, self.introspect), (REVOKE, self.revoke)):
            own = {urljoin(token_path, name), urlsplit(endpoint_url(self._payer, name)).path}
            for path in sorted(own):
                outside.add_url_rule(path, name, answer, methods=["POST"])

    def introspect(self) -> Response:
        header = request.headers.get("Authorization")
        answer, client = self.status.introspect(form_fields(), header, peer_certificate())
        told = "active" if answer["active"] else "inactive"
        self._payer.audit.record("authorization", "introspection", told, client=client)
        return json_answer(answer)

    def revoke(self) -> Response:
        header = request.headers.get("Authorization")
        client = self.status.revoke(form_fields(), header, peer_certificate())
        self._payer.audit.record("authorization", "revocation", "done", client=client)
        return Response(status=200)


def form_fields() -> dict[str, list[str]]:
    """Every value of every field; raises OAuthError 400 for a body that is no form."""
    if media.media_type(request.content_type) != media.FORM:
        raise OAuthError(400, "invalid_request", f"Send the form as {media.FORM}.")
    return {name: request.form.getlist(name) for name in request.form}
