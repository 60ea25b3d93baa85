"""Single defects of a resource that no element tells: rules, references, narrative, modifiers."""

from __future__ import annotations

import copy

from .mutator import Mutant

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
ELSEWHERE = "http://example.org/nobody-defines-this"
INNER = {"resourceType": "Organization", "id": "inner", "name": "x"}
POINTS = {"url": ELSEWHERE, "valueReference": {"reference": "#inner"}}
CODED = {"coding": [{"system": "http://example.org/codes", "code": "x"}]}
LATE_FIRST = {"start": "2024-02-02", "end": "2024-01-01"}


def broken_rules(resource):
    """Mutants by rules of R4 (dom-2 to dom-5, ext-1, txt-1, txt-2, per-1 and those of types)."""
    yield from _of_domain(resource)
    yield from _of_narrative(resource)
    yield from _of_type(resource)
    yield from _of_parts(resource)


def _of_domain(resource):
    if resource["resourceType"] in ("Bundle", "Parameters"):
        return
    inner = copy.deepcopy(INNER)
    extra = [*resource.get("extension", []), POINTS]
    among = resource.get("contained", [])
    at = len(among)
    yield _with(resource, "contained, pointed at by none", "dom-3", "", contained=[*among, inner])
    deeper = {**inner, "contained": [{**INNER, "id": "deeper"}]}
    yield _with(resource, "contained in contained", "dom-2", "",
                contained=[*among, deeper], extension=extra)  # fmt: skip
    versioned = {**inner, "meta": {"versionId": "1"}}
    yield _with(resource, "a version of a contained", "dom-4", "",
                contained=[*among, versioned], extension=extra)  # fmt: skip
    labelled = {**inner, "meta": {"security": [CODED["coding"][0]]}}
    yield _with(resource, "a label of a contained", "dom-5", "",
                contained=[*among, labelled], extension=extra)  # fmt: skip
    nameless = {"resourceType": "Nonsense", "id": "inner"}
    yield _with(resource, "contained of no type", "type", f"/contained/{at}",
                contained=[*among, nameless], extension=extra)  # fmt: skip
    yield from _of_extensions(resource)


def _of_extensions(resource):
    at = len(resource.get("extension", []))
    for kind, rule, place, extension in (
        ("nothing contained of that id", "contained", "/valueReference",
         {"url": ELSEWHERE, "valueReference": {"reference": "#nobody"}}),
        ("an extension with value and extensions", "ext-1", "",
         {"url": ELSEWHERE, "valueString": "x", "extension": [POINTS | {"valueReference": {
             "display": "x"}}]}),
        ("two values of an extension", "choice", "/valueString",
         {"url": ELSEWHERE, "valueString": "x", "valueCode": "x"}),
        ("an extension without url", "min", "/url", {"valueString": "x"}),
        ("a value of no type", "unknown", "/valueNonsense",
         {"url": ELSEWHERE, "valueNonsense": "x"}),
        ("a period that ends before it starts", "per-1", "/valuePeriod",
         {"url": ELSEWHERE, "valuePeriod": LATE_FIRST}),
        ("a coded unit without system", "qty-3", "/valueQuantity",
         {"url": ELSEWHERE, "valueQuantity": {"value": 1, "code": "mg"}}),
        ("an attachment of no kind", "att-1", "/valueAttachment",
         {"url": ELSEWHERE, "valueAttachment": {"data": "aaaa"}}),
        ("a contact without system", "cpt-2", "/valueContactPoint",
         {"url": ELSEWHERE, "valueContactPoint": {"value": "x"}}),
        ("a range from high to low", "rng-2", "/valueRange",
         {"url": ELSEWHERE, "valueRange": {"low": {"value": 2}, "high": {"value": 1}}}),
    ):  # fmt: skip
        yield _with(resource, kind, rule, f"/extension/{at}{place}",
                    extension=[*resource.get("extension", []), extension])  # fmt: skip
    at = len(resource.get("modifierExtension", []))
    yield _with(resource, "a modifier that nobody defines", "modifier-extension",
                f"/modifierExtension/{at}",
                modifierExtension=[*resource.get("modifierExtension", []),
                                   {"url": ELSEWHERE, "valueBoolean": True}])  # fmt: skip


def _of_narrative(resource):
    if resource["resourceType"] in ("Bundle", "Parameters"):
        return
    for kind, rule, div in (
        ("a script in a narrative", "txt-1", f"<div {XHTML}>a<script>x()</script></div>"),
        ("a handler in a narrative", "txt-1", f'<div {XHTML}><p onclick="x()">a</p></div>'),
        ("a form in a narrative", "txt-1", f"<div {XHTML}><form>a</form></div>"),
        ("a narrative that says nothing", "txt-2", f"<div {XHTML}> </div>"),
        ("a narrative of another root", "txt-1", f"<p {XHTML}>a</p>"),
        ("a narrative that is no XML", "txt-1", f"<div {XHTML}>a<br></div>"),
        ("a narrative of no namespace", "txt-1", "<div>a</div>"),
    ):
        yield _with(resource, kind, rule, "/text/div", text={"status": "generated", "div": div})
    yield _with(resource, "a narrative without status", "min", "/text/status",
                text={"div": f"<div {XHTML}>a</div>"})  # fmt: skip


def _of_type(resource):
    kind = resource["resourceType"]
    if kind == "Patient":
        yield _with(resource, "a contact without anything", "pat-1", "/contact/0",
                    contact=[{"gender": "male"}])  # fmt: skip
    if kind == "Organization":
        made = {k: v for k, v in resource.items() if k not in ("name", "identifier")}
        yield Mutant("nothing that identifies", frozenset(["org-1"]), "", made)
    if kind == "Observation" and any(k.startswith("value") for k in resource):
        yield _with(resource, "value and reason for none", "obs-6", "", dataAbsentReason=CODED)
    if kind == "Condition":
        wrong = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                             "code": "entered-in-error"}]}  # fmt: skip
        active = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                              "code": "active"}]}  # fmt: skip
        yield _with(resource, "active, but entered in error", "con-5", "",
                    verificationStatus=wrong, clinicalStatus=active)  # fmt: skip
    if kind == "Coverage" and "identifier" in resource:
        made = {k: v for k, v in resource.items() if k not in ("identifier", "subscriberId")}
        yield Mutant("no number of the member", frozenset(["us-core-15", "min"]), "", made)
    if kind == "Bundle" and resource.get("type") == "collection":
        yield _with(resource, "a total of a collection", "bdl-1", "", total=1)


def _of_parts(resource):
    for at, part in enumerate(resource.get("parameter", [])):
        if "resource" in part:
            other = {**part, "resource": {"resourceType": "Basic", "code": {"text": "x"}}}
            yield _part(resource, "a parameter of another type", "type", at, "/resource", other)
            yield _part(resource, "a parameter with value and resource", "inv-1", at, "",
                        {**part, "valueString": "x"})  # fmt: skip
        nameless = {k: v for k, v in part.items() if k != "name"}
        yield _part(resource, "a parameter without name", "min", at, "/name", nameless)


def _part(resource, kind, rule, at, place, part):
    parts = list(resource["parameter"])
    parts[at] = part
    rules = f"{rule} unknown max" if rule == "inv-1" else rule
    made = {**resource, "parameter": parts}
    return Mutant(kind, frozenset(rules.split()), f"/parameter/{at}{place}", made)


def _with(resource, kind, rule, pointer, **changed):
    return Mutant(kind, frozenset([rule]), pointer, {**copy.deepcopy(resource), **changed})
