"""What every member's record points to: the payers, the clinics, their people and places."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson

from .chart import claimed
from .codes import THO, coded
from .people import HTEST, PAYER_IDENTIFIER, PAYER_NAME

_META = {"lastUpdated": "2015-01-01T06:00:00.000Z", "security": [HTEST]}
_SYSTEM = "https://example.org/provider-id"
_DOCTORS = (
    ("Mossbank", "Idris"), ("Quillfeather", "Nadia"), ("Thornebury", "Oscar"),
    ("Umberwood", "Priya"), ("Vexley", "Quentin"), ("Wrenfield", "Rosa"),
    ("Yarrowby", "Stefan"), ("Zephyrine", "Tomoko"), ("Ashgrove", "Uma"),
    ("Birchmoor", "Viktor"), ("Cloverleigh", "Wanda"), ("Dewhollow", "Yusuf"),
)  # fmt: skip
_CLINICS = ("Northside", "Riverbend", "Hilltop", "Lakeview")
_ORGANIZATION_TYPES = {
    "payer": [coded(THO + "organization-type", "pay", "Payer")],
    "provider": [coded(THO + "organization-type", "prov", "Healthcare Provider")],
}


@cache
def shared_resources() -> list[tuple[str, str, bytes]]:
    """Return (type, id, JSON bytes) of each; nothing in them depends on seed or date."""
    resources = [*_organizations(), *_locations(), *_practitioners()]
    return [(r["resourceType"], r["id"], orjson.dumps(r)) for r in resources]


def _resource(kind: str, identity: str, profile: str, **body: Any) -> dict[str, Any]:
    meta = {**_META, "profile": claimed(profile)}
    return {"resourceType": kind, "id": identity, "meta": meta, **body}


def _address(number: int) -> dict[str, Any]:
    return {
        "line": [f"{number + 1} Example Street"],
        "city": "Testville",
        "state": "OH",
        "postalCode": "43001",
        "country": "US",
    }


def _phone(number: int) -> list[dict[str, str]]:
    return [{"system": "phone", "value": f"+1-614-555-01{number:02d}", "use": "work"}]


def _organizations() -> list[dict[str, Any]]:
    names = [("payer", PAYER_NAME), ("other-payer", "Former Payer Health Plan (test)")]
    names += [(f"clinic-{n}", f"{name} Test Clinic") for n, name in enumerate(_CLINICS)]
    names += [
        ("hospital-0", "Example General Hospital (test)"),
        ("laboratory-0", "Example Laboratory (test)"),
        ("pharmacy-0", "Example Pharmacy (test)"),
        ("dental-0", "Example Dental Practice (test)"),
    ]
    return [_organization(number, *named) for number, named in enumerate(names)]


def _organization(number: int, identity: str, name: str) -> dict[str, Any]:
    payer = identity.endswith("payer")
    own = {"system": PAYER_IDENTIFIER["system"], "value": "FORMER-PAYER"}
    if identity == "payer":
        own = dict(PAYER_IDENTIFIER)
    if not payer:
        own = {"system": _SYSTEM, "value": identity}
    return _resource(
        "Organization",
        identity,
        "us-core-organization",
        identifier=[own],
        active=True,
        type=_ORGANIZATION_TYPES["payer" if payer else "provider"],
        name=name,
        telecom=_phone(number),
        address=[_address(number)],
    )


def _locations() -> list[dict[str, Any]]:
    places = [(f"clinic-{n}", f"{name} Test Clinic") for n, name in enumerate(_CLINICS)]
    places.append(("hospital-0", "Example General Hospital (test)"))
    return [
        _resource(
            "Location",
            identity,
            "us-core-location",
            status="active",
            name=name,
            telecom=_phone(20 + number),
            address=_address(number),
            managingOrganization={"reference": f"Organization/{identity}"},
        )
        for number, (identity, name) in enumerate(places)
    ]


def _practitioners() -> list[dict[str, Any]]:
    people = [(f"doctor-{n}", *name, f"clinic-{n % 4}") for n, name in enumerate(_DOCTORS)]
    people.append(("dentist-0", "Enamelton", "Xenia", "dental-0"))
    return [
        resource
        for number, person in enumerate(people)
        for resource in _practitioner(number, *person)
    ]


def _practitioner(
    number: int, identity: str, family: str, given: str, at: str
) -> list[dict[str, Any]]:
    practitioner = _resource(
        "Practitioner",
        identity,
        "us-core-practitioner",
        # No NPI: every number that passes its check digit may be somebody's.
        identifier=[{"system": _SYSTEM, "value": identity}],
        active=True,
        name=[{"family": family, "given": [given], "prefix": ["Dr."]}],
        telecom=_phone(40 + number),
        address=[_address(number)],
    )
    role = _resource(
        "PractitionerRole",
        identity,
        "us-core-practitionerrole",
        active=True,
        practitioner={"reference": f"Practitioner/{identity}"},
        organization={"reference": f"Organization/{at}"},
        telecom=_phone(40 + number),
    )
    return [practitioner, role]
