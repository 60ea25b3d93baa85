"""Defects of UDAP's metadata."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Request, Response, request

from ...reference.clock import SystemClock
from ...reference.trust.pki import Issued, TestAuthority
from ...reference.trust.udap import tokens
from ...reference.trust.udap.authority import Community
from ...reference.trust.udap.chains import uris_of
from ...reference.trust.udap.registering import UdapRegistration
from ..responding import RespondingSimulator
from .registry import change_answer, change_json, defect

udap_defect = partial(defect, udap=True)
# What cannot be met either where the metadata is not signed at all.
_SIGNED = ("udap-disc-17", "udap-disc-18", "udap-disc-19", "udap-disc-21", "udap-jwt-05")


def registration(simulator: RespondingSimulator) -> UdapRegistration:
    """The registration endpoint's decisions; a defect of UDAP is of a payer that offers it."""
    assert simulator.payer.udap is not None, "start the payer with udap"
    return simulator.payer.udap


# Discovery


@udap_defect("UD01", "The metadata is kept from the unknown", "udap-disc-01")
def metadata_closed(simulator: RespondingSimulator) -> None:
    change_answer(simulator, "udap", lambda _request, _response: Response(status=401))


@udap_defect("UD02", "A payer without UDAP answers with a page", "udap-disc-02")
def metadata_as_page(simulator: RespondingSimulator) -> None:
    page = "<html>Nothing here</html>"
    change_answer(simulator, "udap", lambda _request, _response: Response(page))


def _says(ident: str, words: str, ref: str, *, also: tuple[str, ...] = (), **values: Any) -> None:
    """A payer whose metadata says something else; None takes it out."""

    def change(content: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in {**content, **values}.items() if v is not None}

    @udap_defect(ident, words, ref, also=also)
    def install(simulator: RespondingSimulator) -> None:
        change_json(simulator, "udap", change)


_says("UD05", "Another version of UDAP is claimed", "udap-disc-05",
      udap_versions_supported=["1", "2"])  # fmt: skip
_says("UD06", "The profile for client credentials is not named", "udap-disc-06",
      udap_profiles_supported=["udap_dcr", "udap_authn"])  # fmt: skip
_says("UD07", "No extension is named", "udap-disc-07", udap_authorization_extensions_supported=[],
      udap_authorization_extensions_required=None)  # fmt: skip
_says("UD08", "An extension is required that is not supported", "udap-disc-08",
      udap_authorization_extensions_required=["hl7-b2b", "something-else"])  # fmt: skip
_says("UD09", "A certification is required that is not supported", "udap-disc-09",
      udap_certifications_required=["https://certifier.example"])  # fmt: skip
_says("UD10", "Refresh tokens are offered without the code flow", "udap-disc-10",
      grant_types_supported=["client_credentials", "refresh_token"])  # fmt: skip
_says("UD11", "No scope is named", "udap-disc-11", scopes_supported=None)
_says("UD12", "The registration endpoint is told as a path", "udap-disc-12",
      also=("udap-disc-19",), registration_endpoint="/oauth/register")  # fmt: skip
_says(
    "UD13",
    "A secret may be used as well",
    "udap-disc-13",
    token_endpoint_auth_methods_supported=["private_key_jwt", "client_secret_basic"],
)
_says("UD14", "RS256 is not named", "udap-disc-14",
      token_endpoint_auth_signing_alg_values_supported=["ES256"])  # fmt: skip
_says("UD15", "No algorithm is named for software statements", "udap-disc-15",
      registration_endpoint_jwt_signing_alg_values_supported=None)  # fmt: skip
_says("UD19", "The token endpoint that is signed is another than is told", "udap-disc-19",
      token_endpoint="https://another.example/token")  # fmt: skip  # noqa: S106
_says("R21-unsigned", "The metadata is not signed", "udap-disc-16", also=_SIGNED,
      signed_metadata=None)  # fmt: skip


@udap_defect("R21-signature", "The signature of the metadata does not fit", "udap-disc-16")
def metadata_altered(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        body, _, signature = content["signed_metadata"].rpartition(".")
        content["signed_metadata"] = f"{body}.{signature[::-1]}"

    change_json(simulator, "udap", change)


Claims = dict[str, Any]


def _signs(
    ident: str, words: str, *refs: str, change: Callable[[Claims], Claims] = dict,
    by: Callable[[Community], Issued] = lambda community: community.issued,
) -> None:  # fmt: skip
    """A payer that signs something else, or by another certificate."""

    @udap_defect(ident, words, *refs)
    def install(simulator: RespondingSimulator) -> None:
        settings = registration(simulator).settings

        def resign(content: dict[str, Any]) -> None:
            community = settings.community(request.args.get("community", ""))
            assert community is not None
            claims = dict(tokens.part_of(content["signed_metadata"], 1))
            content["signed_metadata"] = tokens.sign(change(claims), by(community))

        change_json(simulator, "udap", resign)


def _untrusted(community: Community) -> Issued:
    uris = uris_of(community.issued.certificate)
    return TestAuthority.create(SystemClock()).issue(uris=uris, key=community.issued.key)


_signs("R21", "The metadata is signed by an authority that nobody trusts", "udap-disc-21",
       by=_untrusted)  # fmt: skip
_signs("R21-name", "The metadata is signed in another name", "udap-disc-17",
       change=lambda c: {**c, "iss": f"{c['iss']}/other"})  # fmt: skip
_signs(
    "R21-expired",
    "The signed metadata has expired",
    "udap-disc-18",
    change=lambda c: {**c, "iat": int(time.time()) - 900, "exp": int(time.time()) - 600},
)
_signs("R21-long", "The signed metadata is good for three years", "udap-disc-18",
       change=lambda c: {**c, "exp": c["iat"] + 3 * 366 * 86_400})  # fmt: skip
_signs(
    "R21-jti",
    "The signed metadata share one jti",
    "udap-jwt-05",
    change=lambda c: {**c, "jti": "always-the-same", "nonce": secrets.token_hex(8)},
)


@udap_defect("UD21", "The community is not looked at", "udap-disc-21")
def one_community(simulator: RespondingSimulator) -> None:
    udap = registration(simulator)
    first = udap.settings.communities[0]
    everything = tuple(replace(c, issued=first.issued) for c in udap.settings.communities)
    settings = replace(udap.settings, communities=everything)
    simulator.payer.settings = replace(simulator.payer.settings, udap=settings)


@udap_defect("UD22", "A community that is unknown is an error", "udap-disc-22")
def unknown_community(simulator: RespondingSimulator) -> None:
    def after(_request: Request, response: Response) -> Response:
        return Response(status=500) if response.status_code == 204 else response

    change_answer(simulator, "udap", after)
