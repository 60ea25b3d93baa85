"""The signed Bundle that payers find mutual-TLS endpoints by (PDex; deprecated in 2.2).

A payer publishes it, another reads it: who operates the endpoint, where it lies, and by which
authorities its certificates are. How it is signed the guide leaves open; here it is a detached JWS
over the canonical JSON of the Bundle without its signature, with the signer's chain in `x5c`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from ..clock import instant
from ..errors import BadRequest, RecordRejected
from ..fhir import json
from ..parties import PayerIdentity
from ..trust.pki import Issued
from ..trust.udap.chains import ChainRefused, Trust, check_chain

_PDEX = "http://hl7.org/fhir/us/davinci-pdex/"
_NDH = "http://hl7.org/fhir/us/ndh/"
SIGNED_OBJECT = f"{_PDEX}StructureDefinition/pdex-mtls-signedobject-extension"
# PDex keeps copies of the directory guide's extensions; both addresses are met, and both read.
ASSOCIATED_SERVERS = "StructureDefinition/base-ext-associatedServers"
_OBJECT_TYPE = f"{_PDEX}CodeSystem/MtlsObjectCodeCS"
_PAYLOAD = f"{_PDEX}CodeSystem/EndpointPayloadTypeCS"
_SERVER_TYPES = f"{_PDEX}CodeSystem/NdhAssociatedServersTypeCS"
_AUTHORIZATION = "authorization-authentication-server"
_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_AUTHOR = {"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1"}
_ALGORITHMS = ("ES256", "RS256")
_UNREADABLE = "The bundle is no signed mTLS endpoint bundle of PDex: {}."


@dataclass(frozen=True, slots=True)
class MtlsEndpoint:
    """What a bundle tells of one payer's endpoint."""

    payer: PayerIdentity
    fhir_base: str
    authorization_server: str
    support_url: str
    certificates: str
    """PEM: what the endpoint's certificates lead to."""


def make_bundle(
    endpoint: MtlsEndpoint, signer: Issued, now: datetime, *, manager: PayerIdentity | None = None
) -> dict[str, Any]:
    """The signed Bundle: the endpoint, its operator, and who manages that one (itself, if nobody).

    Its profiles are mtls-bundle, mtls-endpoint and mtls-organization (mtls-bundle, mtls-endpoint,
    mtls-org).
    """
    moment = instant(now)
    resources = [
        _endpoint(endpoint),
        _organization("operator", endpoint.payer, endpoint.support_url),
        _organization("manager", manager or endpoint.payer, endpoint.support_url),
    ]
    bundle = {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{_PDEX}StructureDefinition/mtls-bundle"]},
        "type": "collection",
        "timestamp": moment,
        "entry": [
            {"fullUrl": f"urn:payer-exchange:{r['resourceType']}:{r['id']}", "resource": r}
            for r in resources
        ],
    }
    signature = {
        "type": [_AUTHOR],
        "when": moment,
        "who": endpoint.payer.reference(),
        "targetFormat": "application/fhir+json",
        "sigFormat": "application/jose",
        "data": base64.b64encode(_signed(bundle, signer).encode()).decode(),
    }
    return {**bundle, "signature": signature}


def read_bundle(content: bytes, trust: Trust, now: datetime) -> MtlsEndpoint:
    """What the Bundle tells, once its signature and its signer's certificate are found good.

    Raises RecordRejected with the reason for any other bundle.
    """
    try:
        bundle = json.read_object(content)
        _check_head(bundle)
        chain = _verified(bundle)
        check_chain(chain, trust, now)
        return _told([e["resource"] for e in bundle["entry"]])
    except ChainRefused as refused:
        reason = f"its signer is not trusted ({refused})"
        raise RecordRejected(_UNREADABLE.format(reason)) from refused
    except jwt.PyJWTError as error:
        raise RecordRejected(_UNREADABLE.format("its signature does not hold")) from error
    except (BadRequest, KeyError, IndexError, TypeError, ValueError) as error:
        raise RecordRejected(_UNREADABLE.format("an element is missing or malformed")) from error


def _endpoint(told: MtlsEndpoint) -> dict[str, Any]:
    server = [
        {"url": "associatedServersType",
         "valueCodeableConcept": _concept(_SERVER_TYPES, _AUTHORIZATION)},
        {"url": "serverURL", "valueString": told.authorization_server},
    ]  # fmt: skip
    signed = [
        {"url": "ObjectType", "valueCodeableConcept": _concept(_OBJECT_TYPE, "MTLS")},
        {"url": "Object",
         "valueBase64Binary": base64.b64encode(told.certificates.encode()).decode()},
    ]  # fmt: skip
    return {
        "resourceType": "Endpoint",
        "id": "endpoint",
        "meta": {"profile": [f"{_PDEX}StructureDefinition/mtls-endpoint"]},
        "extension": [
            {"url": SIGNED_OBJECT, "extension": signed},
            {"url": _PDEX + ASSOCIATED_SERVERS, "extension": server},
        ],
        "status": "active",
        "connectionType": {"system": _CONNECTION, "code": "hl7-fhir-rest"},
        "name": "Payer-to-payer exchange",
        "managingOrganization": {"reference": "Organization/operator"},
        "payloadType": [_concept(_PAYLOAD, "NA")],
        "address": told.fhir_base,
    }


def _organization(ident: str, payer: PayerIdentity, support_url: str) -> dict[str, Any]:
    return {
        "resourceType": "Organization",
        "id": ident,
        "meta": {"profile": [f"{_PDEX}StructureDefinition/mtls-organization"]},
        "identifier": [{"system": payer.system, "value": payer.value}],
        "active": True,
        "name": payer.name or payer.value,
        "telecom": [{"system": "url", "value": support_url}],
        "endpoint": [{"reference": "Endpoint/endpoint"}],
    }


def _signed(bundle: Mapping[str, Any], signer: Issued) -> str:
    algorithm = "RS256" if isinstance(signer.key, rsa.RSAPrivateKey) else "ES256"
    return jwt.api_jws.encode(
        _canonical(bundle), signer.key, algorithm, {"x5c": signer.x5c()}, is_payload_detached=True
    )


def _verified(bundle: Mapping[str, Any]) -> list[x509.Certificate]:
    """The signer's chain, once the signature holds for the rest of the Bundle."""
    token = base64.b64decode(bundle["signature"]["data"], validate=True).decode()
    sent = jwt.get_unverified_header(token)["x5c"]
    chain = [x509.load_der_x509_certificate(base64.b64decode(text)) for text in sent]
    rest = {name: value for name, value in bundle.items() if name != "signature"}
    key: Any = chain[0].public_key()
    jwt.api_jws.decode(token, key, algorithms=list(_ALGORITHMS), detached_payload=_canonical(rest))
    return chain


def _canonical(bundle: Mapping[str, Any]) -> bytes:
    return orjson.dumps(bundle, option=orjson.OPT_SORT_KEYS)


def _check_head(bundle: Mapping[str, Any]) -> None:
    if bundle["resourceType"] != "Bundle" or bundle["type"] != "collection":
        raise ValueError
    if not (bundle["timestamp"] and bundle["signature"]["sigFormat"] == "application/jose"):
        raise ValueError


def _told(resources: list[Mapping[str, Any]]) -> MtlsEndpoint:
    [endpoint] = [r for r in resources if r["resourceType"] == "Endpoint"]
    if endpoint["status"] != "active" or len(endpoint["payloadType"]) != 1:
        raise ValueError
    reference = endpoint["managingOrganization"]["reference"]
    [operator] = [r for r in resources if f"{r['resourceType']}/{r['id']}" == reference]
    if operator["active"] is not True:
        raise ValueError
    [support, *_] = [t["value"] for t in operator["telecom"] if t["system"] == "url"]
    identifier = operator["identifier"][0]
    [signed, *_] = _parts(endpoint, SIGNED_OBJECT.rpartition("/")[2])
    pem = base64.b64decode(signed["Object"], validate=True)
    x509.load_pem_x509_certificates(pem)
    servers = [
        p["serverURL"]
        for p in _parts(endpoint, ASSOCIATED_SERVERS.rpartition("/")[2])
        if _AUTHORIZATION in [c.get("code") for c in p["associatedServersType"]["coding"]]
    ]
    return MtlsEndpoint(
        PayerIdentity(identifier["system"], identifier["value"], operator.get("name", "")),
        str(endpoint["address"]),
        str(servers[0]) if servers else "",
        str(support),
        pem.decode(),
    )


def _parts(resource: Mapping[str, Any], name: str) -> Iterable[dict[str, Any]]:
    """The inner values of every extension with that name, under either guide's address."""
    for extension in resource["extension"]:
        if extension["url"] in (f"{_PDEX}StructureDefinition/{name}",
                                f"{_NDH}StructureDefinition/{name}"):  # fmt: skip
            yield {e["url"]: next(v for k, v in e.items() if k.startswith("value"))
                   for e in extension["extension"]}  # fmt: skip


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
