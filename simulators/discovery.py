"""What a responding payer tells about itself: three documents anybody may read."""

from __future__ import annotations

from typing import Any

from ..reference.clock import instant
from ..reference.fhir.hrex import MEMBER_MATCH
from ..reference.fhir.media import FHIR_JSON
from ..reference.fhir.pdex import (
    BULK_MATCH_SCOPES,
    BULK_MEMBER_MATCH,
    DATA_EXPORT,
    VERSIONS,
)
from ..reference.fhir.search import COMMON, PARAMETERS, REFERENCE
from ..reference.responding import RespondingPayer
from ..reference.trust.keys import ALGORITHMS
from ..reference.trust.mutual_tls import METHOD
from .trust_routes import INTROSPECT, REVOKE, endpoint_url

_GUIDE = "http://hl7.org/fhir/us/davinci-pdex/ImplementationGuide/hl7.fhir.us.davinci-pdex"
_BULK = "http://hl7.org/fhir/uv/bulkdata/"
_SMART_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"


def smart_configuration(payer: RespondingPayer) -> dict[str, Any]:
    """The SMART discovery document (SMART App Launch 2.2, conformance)."""
    return {
        **_mutual_tls(payer),
        "token_endpoint": payer.settings.token_url,
        "introspection_endpoint": endpoint_url(payer, INTROSPECT),
        "revocation_endpoint": endpoint_url(payer, REVOKE),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": [
            "private_key_jwt",
            "client_secret_basic",
            *([METHOD] if payer.settings.mutual_tls else []),
        ],
        "token_endpoint_auth_signing_alg_values_supported": sorted(ALGORITHMS),
        "scopes_supported": [*operation_scopes(payer), "system/*.rs", "system/*.read"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }


def _mutual_tls(payer: RespondingPayer) -> dict[str, Any]:
    """What a client of mutual TLS has to know (RFC 8705, 3.3)."""
    if not payer.settings.mutual_tls:
        return {}
    return {"tls_client_certificate_bound_access_tokens": True}


def operation_scopes(payer: RespondingPayer) -> list[str]:
    """The scopes of the match operations that this payer offers, in the version's own spelling."""
    settings = payer.settings
    found = [MEMBER_MATCH] if settings.single_member else []
    return found + ([BULK_MATCH_SCOPES[settings.pdex_version]] if settings.bulk else [])


def davinci_configuration(payer: RespondingPayer) -> dict[str, Any]:
    """The Da Vinci endpoint document (HRex discovery, logical model)."""
    base, identity = payer.settings.fhir_base, payer.settings.identity
    # What a newer version asks for holds for the older ones that a requester may look for.
    known = VERSIONS[: VERSIONS.index(payer.settings.pdex_version) + 1]
    return {
        "identifier": {"system": identity.system, "value": identity.value},
        "endpoints": {f"davinci_pdex_payer_endpoint#{v[:3]}": base for v in known},
    }


def capability_statement(payer: RespondingPayer) -> dict[str, Any]:
    """The CapabilityStatement: every type, search parameter and operation that is there."""
    settings = payer.settings
    held = settings.scope.types & PARAMETERS.keys() | ({"Group"} if settings.bulk else set())
    rest: dict[str, Any] = {
        "mode": "server",
        "security": {
            "cors": False,
            "service": [{"coding": [{"system": _SMART_SERVICE, "code": "SMART-on-FHIR"}]}],
        },
        "resource": [_resource(kind, payer) for kind in sorted(held)],
    }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(payer.clock.now()),
        "kind": "instance",
        "instantiates": [_BULK + "CapabilityStatement/bulk-data"],
        "implementationGuide": [f"{_GUIDE}|{settings.pdex_version}"],
        "software": {"name": "payer-exchange"},
        "implementation": {
            "description": "A simulated responding payer with synthetic members",
            "url": settings.fhir_base,
        },
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON, "json"],
        "rest": [rest],
    }  # fmt: skip


def _resource(kind: str, payer: RespondingPayer) -> dict[str, Any]:
    parameters = {**COMMON, **PARAMETERS[kind]}
    found: dict[str, Any] = {
        "type": kind,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "searchParam": [{"name": name, "type": p.kind} for name, p in sorted(parameters.items())],
    }
    if kind == "Group":
        codes = ("read", "vread", "history-instance", "search-type")
        found["interaction"] = [{"code": code} for code in codes]
        return {**found, "versioning": "versioned", "operation": _operations(kind, payer)}
    included = [f"{kind}:{n}" for n, p in sorted(PARAMETERS[kind].items()) if p.kind == REFERENCE]
    if included:
        found["searchInclude"] = [*included, "*"]
    if kind != "Provenance":
        found["searchRevInclude"] = ["Provenance:target"]
    operations = _operations(kind, payer)
    return {**found, "operation": operations} if operations else found


def _operations(kind: str, payer: RespondingPayer) -> list[dict[str, str]]:
    if kind == "DocumentReference":
        canonical = "http://hl7.org/fhir/us/core/OperationDefinition/docref"
        return [{"name": "docref", "definition": canonical}]
    if kind == "Group":
        return [
            {"name": "bulk-member-match", "definition": BULK_MEMBER_MATCH},
            {"name": "davinci-data-export", "definition": DATA_EXPORT},
            {"name": "export", "definition": _BULK + "OperationDefinition/group-export"},
        ]
    if kind != "Patient" or not payer.settings.single_member:
        return []
    return [
        {"name": "member-match", "definition": MEMBER_MATCH},
        {
            "name": "everything",
            "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        },
        {"name": "export", "definition": _BULK + "OperationDefinition/patient-export"},
    ]
