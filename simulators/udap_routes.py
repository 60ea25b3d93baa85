"""UDAP over HTTP: the metadata at the FHIR base, and the registration endpoint."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from flask import Blueprint, Response, request

from ..reference.errors import BadRequest
from ..reference.fhir import json, media
from ..reference.responding import RespondingPayer
from ..reference.trust.udap.authority import udap_metadata
from ..reference.trust.udap.statements import RegistrationRefused
from .answers import json_answer

# The last segment of the endpoint, which lies beside the token endpoint.
REGISTER = "register"


class UdapRoutes:
    """Answers of one payer; without UDAP there is nothing at either address (udap-disc-02)."""

    def __init__(self, payer: RespondingPayer) -> None:
        self._payer = payer

    def add_to(self, outside: Blueprint, token_path: str) -> None:
        """Mount the endpoint at the payer's own address and at the public one."""
        udap = self._payer.settings.udap
        paths = {urljoin(token_path, REGISTER)}
        if udap:
            paths.add(urlsplit(udap.registration_url).path)
        for path in sorted(paths):
            outside.add_url_rule(path, "udap_register", self.register, methods=["POST"])

    def metadata(self) -> Response:
        settings = self._payer.settings
        if settings.udap is None:
            raise _nothing()
        community = settings.udap.community(request.args.get("community", ""))
        if community is None:
            return Response(status=204)
        return json_answer(
            udap_metadata(
                settings.udap, community, settings.fhir_base, settings.token_url,
                self._payer.clock.now(),
            )
        )  # fmt: skip

    def register(self) -> Response:
        if self._payer.udap is None:
            raise _nothing()
        audit = self._payer.audit
        try:
            answer = self._payer.udap.register(_body())
        except RegistrationRefused as refused:
            audit.record("registration", "client", "refused", reason=refused.reason)
            told = {"error": refused.error, "error_description": refused.description}
            return json_answer(told, status=400)
        audit.record("registration", "client", answer.outcome, client=answer.client_id)
        return json_answer(answer.content, status=answer.status)


def _body() -> dict[str, object]:
    """The JSON object of the request; raises RegistrationRefused when it is none."""
    if media.media_type(request.content_type) != media.JSON:
        raise RegistrationRefused("invalid_request", f"Send the registration as {media.JSON}.",
                                  "media-type")  # fmt: skip
    try:
        return json.read_object(request.get_data())
    except BadRequest as error:
        raise RegistrationRefused("invalid_request", str(error), "body") from error


def _nothing() -> BadRequest:
    return BadRequest("This payer offers no UDAP.", status=404, code="not-found")
