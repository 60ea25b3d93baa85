"""A received resource made local: own id, kept source id, local references, tag; and back again.

New ids are a function of issuer, type and source id, so that importing twice changes nothing.
The source id stays as an `identifier`; types that have none, or room for one only, keep it in
`meta.extension`. A reference to something that was not received becomes a logical one: its
identifier is the resource's URL at the source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..fhir.references import split_reference
from ..store.repository import Key

TAG_SYSTEM = "http://smilecdr.com/fhir/tags"
SOURCE_ID = "http://payer-to-payer-exchange/StructureDefinition/source-identifier"
SOURCE_REFERENCE = "http://payer-to-payer-exchange/StructureDefinition/source-reference"
URI = "urn:ietf:rfc:3986"
# Types of a member's record without `identifier`, and those whose `identifier` is one only.
NO_IDENTIFIER = frozenset({"AuditEvent", "Binary", "Linkage", "MessageHeader", "OperationOutcome",
                           "Parameters", "Provenance", "VerificationResult"})  # fmt: skip
ONE_IDENTIFIER = frozenset({"Bundle", "Composition", "QuestionnaireResponse"})


def migrated_tag(system: str = TAG_SYSTEM) -> dict[str, str]:
    """The tag that every imported resource carries (seed page, JSON sample)."""
    return {
        "system": system,
        "code": "migrated",
        "display": "Resource imported from external payer",
    }


def local_id(issuer: str, kind: str, ident: str) -> str:
    """The local id of a source's resource."""
    return "imp-" + hashlib.sha256(f"{issuer}|{kind}/{ident}".encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where resources come from, and whose they become."""

    issuer: str
    base: str
    identifier_system: str
    tag_system: str
    source_patient: str
    local_patient: str

    @property
    def imported_patient(self) -> str:
        """The id of the member's imported Patient."""
        return local_id(self.issuer, "Patient", self.source_patient)

    def own_key(self, reference: str) -> Key | None:
        """The (type, id) of a reference into the source: relative, or absolute on its base."""
        return own_key(reference, self.base)


def own_key(reference: str, base: str) -> Key | None:
    """The (type, id) of a reference into the source at a base; None for any other."""
    if "://" in reference and not reference.startswith(f"{base}/"):
        return None
    return split_reference(reference)


def transform(
    resource: Mapping[str, Any], origin: Origin, is_known: Callable[[Key], bool]
) -> dict[str, Any]:
    """The resource as it is stored here; what `is_known` denies is referred to logically."""
    return adopt(localised(resource, origin, is_known), origin)


def adopt(found: dict[str, Any], origin: Origin) -> dict[str, Any]:
    """A resource whose references are local already, changed in place to one of this payer."""
    kind, ident = found["resourceType"], found["id"]
    found["id"] = local_id(origin.issuer, kind, ident)
    meta = dict(found.get("meta") or {})
    tag = migrated_tag(origin.tag_system)
    tags = [t for t in meta.get("tag", []) if not _same(t, tag)]
    found["meta"] = {**meta, "tag": [*tags, tag]}
    _keep_id(found, kind, ident, origin.identifier_system)
    if kind == "Patient":
        link = {"other": {"reference": f"Patient/{origin.local_patient}"}, "type": "seealso"}
        found["link"] = [*found.get("link", []), link]
    return found


def restore(
    resource: Mapping[str, Any], origin: Origin, source_of: Callable[[Key], str | None]
) -> dict[str, Any]:
    """What was received, from what is stored: the inverse of `transform`, in normal form."""
    kind = resource["resourceType"]
    found: dict[str, Any] = _original(resource, origin, source_of)
    found["id"] = source_of((kind, resource["id"])) or resource["id"]
    if kind == "Patient" and "link" in found:
        own = f"Patient/{origin.local_patient}"
        found["link"] = [e for e in found["link"] if e.get("other", {}).get("reference") != own]
    return normal(found, origin)


def normal(resource: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """The resource in the form that two copies of it are compared in.

    References into the source are relative, and what an import adds is taken away, so that a
    resource that had it already compares as well.
    """
    found: dict[str, Any] = _normal_references(resource, origin)
    ident = found["id"]
    meta = dict(found.pop("meta", None) or {})
    tag = migrated_tag(origin.tag_system)
    meta["tag"] = [t for t in meta.get("tag", []) if not _same(t, tag)]
    meta["extension"] = [e for e in meta.get("extension", []) if e.get("url") != SOURCE_ID]
    meta = {name: value for name, value in meta.items() if value != []}
    if meta:
        found["meta"] = meta
    kept = {"system": origin.identifier_system, "value": ident}
    if found.get("identifier") == kept:
        del found["identifier"]
    elif isinstance(found.get("identifier"), list):
        found["identifier"] = [i for i in found["identifier"] if i != kept]
    return {name: value for name, value in found.items() if value != []}


def _keep_id(found: dict[str, Any], kind: str, ident: str, system: str) -> None:
    kept = {"system": system, "value": ident}
    if kind in NO_IDENTIFIER or (kind in ONE_IDENTIFIER and "identifier" in found):
        extension = {"url": SOURCE_ID, "valueIdentifier": kept}
        meta = found["meta"]
        others = [e for e in meta.get("extension", []) if e.get("url") != SOURCE_ID]
        found["meta"] = {**meta, "extension": [*others, extension]}
    elif kind in ONE_IDENTIFIER:
        found["identifier"] = kept
    else:
        others = [i for i in found.get("identifier", []) if i != kept]
        found["identifier"] = [*others, kept]


def localised(value: Any, origin: Origin, is_known: Callable[[Key], bool]) -> Any:
    """A value with the references in it as they are here; nothing else of it is changed."""
    if isinstance(value, list):
        return [localised(child, origin, is_known) for child in value]
    if not isinstance(value, Mapping):
        return value
    found = {name: localised(child, origin, is_known) for name, child in value.items()}
    if isinstance(found.get("reference"), str):
        return _local_reference(found, origin, is_known)
    url = found.get("url")
    if isinstance(url, str) and "contentType" in found:
        found["url"] = _local_url(url, origin, is_known)
    return found


def _local_reference(
    found: dict[str, Any], origin: Origin, is_known: Callable[[Key], bool]
) -> dict[str, Any]:
    text = found["reference"]
    key = origin.own_key(text)
    if key is None:
        return found
    if is_known(key):
        return {**found, "reference": f"{key[0]}/{local_id(origin.issuer, *key)}"}
    url = f"{origin.base}/{key[0]}/{key[1]}"
    rest = {name: child for name, child in found.items() if name != "reference"}
    if "identifier" not in rest:
        return {**rest, "identifier": {"system": URI, "value": url}}
    extension = {"url": SOURCE_REFERENCE, "valueUri": url}
    return {**rest, "extension": [*rest.get("extension", []), extension]}


def _local_url(url: str, origin: Origin, is_known: Callable[[Key], bool]) -> str:
    """An attachment's Binary: the local one, or the source's by its whole URL."""
    key = origin.own_key(url)
    if key is None or key[0] != "Binary":
        return url
    if is_known(key):
        return f"Binary/{local_id(origin.issuer, *key)}"
    return f"{origin.base}/Binary/{key[1]}"


def _original(value: Any, origin: Origin, source_of: Callable[[Key], str | None]) -> Any:
    if isinstance(value, list):
        return [_original(child, origin, source_of) for child in value]
    if not isinstance(value, Mapping):
        return value
    found = {name: _original(child, origin, source_of) for name, child in value.items()}
    for name in ("reference", "url"):
        text = found.get(name)
        key = split_reference(text) if isinstance(text, str) and "://" not in text else None
        source = source_of(key) if key else None
        if key and source:
            found[name] = f"{key[0]}/{source}"
    return found


def _normal_references(value: Any, origin: Origin) -> Any:
    if isinstance(value, list):
        return [_normal_references(child, origin) for child in value]
    if not isinstance(value, Mapping):
        return value
    found = {name: _normal_references(child, origin) for name, child in value.items()}
    text = found.get("reference")
    if isinstance(text, str):
        key = origin.own_key(text)
        return {**found, "reference": "/".join(key)} if key else found
    if "contentType" in found and isinstance(found.get("url"), str):
        key = origin.own_key(found["url"])
        return {**found, "url": "/".join(key)} if key else found
    return _literal(found, origin)


def _literal(found: dict[str, Any], origin: Origin) -> dict[str, Any]:
    """A logical reference to a resource of the source, as the literal one it stands for."""
    identifier = found.get("identifier")
    if isinstance(identifier, Mapping) and set(identifier) == {"system", "value"}:
        key = _at_source(identifier["value"], origin) if identifier["system"] == URI else None
        if key:
            rest = {name: child for name, child in found.items() if name != "identifier"}
            return {**rest, "reference": "/".join(key)}
    extensions = found.get("extension")
    for entry in extensions if isinstance(extensions, list) else ():
        if isinstance(entry, Mapping) and entry.get("url") == SOURCE_REFERENCE:
            key = _at_source(entry.get("valueUri"), origin)
            others = [e for e in found["extension"] if e is not entry]
            kept = {n: c for n, c in found.items() if n != "extension"}
            kept = {**kept, "extension": others} if others else kept
            return {**kept, "reference": "/".join(key)} if key else found
    return found


def _at_source(url: Any, origin: Origin) -> Key | None:
    if not isinstance(url, str) or not url.startswith(f"{origin.base}/"):
        return None
    return split_reference(url)


def _same(tag: Any, wanted: Mapping[str, str]) -> bool:
    return isinstance(tag, Mapping) and (tag.get("system"), tag.get("code")) == (
        wanted["system"],
        wanted["code"],
    )
