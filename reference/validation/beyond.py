"""Rules of R4 that stand in its text alone, where no definition has them: of Bundles, of sizes."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ..fhir.references import references_in
from .questionnaires import Questionnaires
from .run import Check, Run

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_BUNDLE = _CORE + "Bundle|4.0.1"
# A resource of the same server or of the same Bundle.
_NEAR = re.compile(
    r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?|urn:\S++"
)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+:\S++")
# Relations of pages, of which a page has one each (RFC 8288, and R4, http.html 2.21.1).
_ONCE = frozenset({"self", "first", "previous", "prev", "next", "last"})

# LOINC's code of each kind of vital sign, and the profile that R4 has for it.
_VITAL_SIGNS = {
    "85353-1": "vitalspanel", "9279-1": "resprate", "8867-4": "heartrate", "2708-6": "oxygensat",
    "8310-5": "bodytemp", "8302-2": "bodyheight", "9843-4": "headcircum", "29463-7": "bodyweight",
    "39156-5": "bmi", "85354-9": "bp",
}  # fmt: skip


def asked_by_code(resource: dict[str, Any]) -> list[str]:
    """The profiles that R4 asks for by a resource's code (Vital Signs, 10.1.20), claimed or not."""
    code = resource.get("code") if resource.get("resourceType") == "Observation" else None
    codings = code.get("coding") if isinstance(code, dict) else None
    names = [
        _VITAL_SIGNS.get(str(coding.get("code")))
        for coding in (codings if isinstance(codings, list) else ())
        if isinstance(coding, dict) and coding.get("system") == "http://loinc.org"
    ]
    return [f"{_CORE}{name}|4.0.1" for name in names if name]


def check_of(kind: str, engine: Any) -> Check | None:
    """What R4 asks of a type besides its definition; None for most of them."""
    if kind == "QuestionnaireResponse":
        return Questionnaires(engine).check
    return {"Bundle": _bundle, "Attachment": _attachment}.get(kind)


def _bundle(value: Any, at: str, run: Run) -> None:
    """Whole URLs, one link a relation, and results of a search that can be told apart."""
    if not isinstance(value, dict):
        return
    for index, relation in enumerate(_repeated(value.get("link"))):
        if relation:
            said = ("the only link of its relation", "another one before")
            run.add("error", "bundle-link-once", f"{at}/link/{index}", *said, _BUNDLE)
    entries = value.get("entry")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            _entry(entry, f"{at}/entry/{index}", run, is_search=value.get("type") == "searchset")
    if isinstance(entries, list) and entries and isinstance(entries[0], dict):
        _first(value.get("type"), entries, at, run)


def _first(kind: Any, entries: list[Any], at: str, run: Run) -> None:
    """A document has all that its Composition names, a message what it is about (R4, 2.42, 2.4)."""
    resource = entries[0].get("resource")
    if not isinstance(resource, dict):
        return
    part = resource if kind == "document" else resource.get("focus") if kind == "message" else None
    for reference in sorted(set(references_in(part))):
        if _NEAR.fullmatch(reference) and _count(reference, entries) != 1:
            said = ("about resources of the Bundle, each named once", "otherwise")
            run.add("error", "bundle-reference", f"{at}/entry/0/resource", *said, _BUNDLE)
            return


def _count(reference: str, entries: list[Any]) -> int:
    """How many entries a reference of the first one names."""
    own = entries[0].get("fullUrl")
    plain, _, version = reference.partition("/_history/")
    root = own.rsplit("/", 2)[0] if isinstance(own, str) and own.startswith("http") else ""
    count = 0
    for entry in entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and _is_named(entry, resource, plain, root):
            meta = resource.get("meta")
            told = meta.get("versionId") if isinstance(meta, dict) else None
            count += not version or told == version
    return count


def _is_named(entry: dict[str, Any], resource: dict[str, Any], plain: str, root: str) -> bool:
    full = entry.get("fullUrl")
    if plain == full or (root and f"{root}/{plain}" == full):
        return True
    # Without the address of a server, the type and the id tell which is meant.
    return not root and plain == f"{resource.get('resourceType')}/{resource.get('id')}"


def _repeated(links: Any) -> list[bool]:
    """Of each link, whether it repeats a relation that there is one of."""
    seen: Counter[str] = Counter()
    found = []
    for link in links if isinstance(links, list) else ():
        relation = link.get("relation") if isinstance(link, dict) else None
        relation = relation if isinstance(relation, str) and relation in _ONCE else ""
        seen[relation] += 1
        found.append(bool(relation) and seen[relation] > 1)
    return found


def _entry(entry: dict[str, Any], at: str, run: Run, *, is_search: bool) -> None:
    full, resource, profile = entry.get("fullUrl"), entry.get("resource"), _BUNDLE
    if isinstance(full, str) and not _ABSOLUTE.fullmatch(full):
        run.add("error", "bundle-full-url", f"{at}/fullUrl", "an absolute URL", "another", profile)
    if not is_search or not isinstance(resource, dict):
        return
    search = entry.get("search")
    if isinstance(search, dict) and search.get("mode") == "outcome":
        if resource.get("resourceType") != "OperationOutcome":
            run.add("error", "bundle-outcome", f"{at}/resource", "an OperationOutcome",
                    "another type", profile)  # fmt: skip
    elif "id" not in resource and resource.get("resourceType") != "OperationOutcome":
        run.add("error", "bundle-search-id", f"{at}/resource/id", "present", "nothing", profile)


def _attachment(value: Any, at: str, run: Run) -> None:
    """The size that is told is that of the content."""
    data, size = (value.get(n) if isinstance(value, dict) else None for n in ("data", "size"))
    if isinstance(data, str) and type(size) is int and _decoded(data) != size:
        run.add("error", "attachment-size", f"{at}/size", "how many bytes there are",
                "another number", _CORE + "Attachment|4.0.1")  # fmt: skip


def _decoded(data: str) -> int:
    """How many bytes Base64 stands for."""
    plain = "".join(data.split())
    return len(plain) * 3 // 4 - plain[-2:].count("=")
