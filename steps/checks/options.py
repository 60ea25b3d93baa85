"""Checks of what an export may offer besides: the form it has where it is offered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ...reference.fhir.dates import parse_moment
from ...reference.fhir.references import references_in, split_reference
from ...reference.http import Exchange
from ..delivered import DeliveredFile, entries_in
from ..verdicts import CannotTell, CheckFailed, NotApplicable
from . import answers

Resource = Mapping[str, Any]
# What a resource must have whatever was asked for (the tag itself aside).
_MANDATORY = {"Observation": ("status", "code"), "Condition": ("subject",),
              "Encounter": ("status", "class"), "Provenance": ("target", "recorded", "agent"),
              "ExplanationOfBenefit": ("status", "type", "use", "patient", "outcome"),
              "Coverage": ("status", "beneficiary", "payor"), "Procedure": ("status", "subject"),
              "Immunization": ("status", "vaccineCode", "patient")}  # fmt: skip
_GZIP = b"\x1f\x8b"
# What later versions add to the manifest (Bulk Data 4.0.0-ballot), and of what type it is.
_LATER: dict[str, type] = {"manifestType": str, "outputFormat": str}
# What may differ between the parts of a manifest: what each part brings, and where the next lies.
_OF_A_PART = frozenset({"output", "error", "outcome", "deleted", "link"})


def says_nothing_or_an_outcome(exchange: Exchange) -> None:
    """The body is empty, or an OperationOutcome (bulk-kickoff-13, bulk-del-06)."""
    if exchange.body.strip():
        answers.is_outcome(exchange)


def nothing_is_newer(resources: Iterable[Resource], manifest: Mapping[str, Any]) -> None:
    """No resource was updated after the transaction time (bulk-man-02)."""
    told = manifest.get("transactionTime")
    end = parse_moment(told) if isinstance(told, str) else None
    if end is None:
        raise CannotTell("The manifest has no transaction time.")
    newer = Counter(
        str(r.get("resourceType")) for r in resources
        if (moment := parse_moment(str((r.get("meta") or {}).get("lastUpdated") or ""))) is not None
        and moment > end
    )  # fmt: skip
    if newer:
        raise CheckFailed("What is newer than the transaction time was delivered.", "none",
                          ", ".join(f"{n} {k}" for k, n in newer.items()),
                          "meta.lastUpdated")  # fmt: skip


def extension_is_formed(manifest: Mapping[str, Any]) -> None:
    """An extension is an object, or a list of FHIR extensions (bulk-man-19)."""
    if "extension" not in manifest:
        raise NotApplicable("The manifest has no extension.")
    found = manifest["extension"]
    listed = isinstance(found, list) and all(isinstance(e, dict) and e.get("url") for e in found)
    if not (listed or isinstance(found, dict)):
        raise CheckFailed("The manifest's extension has another form.",
                          "an object, or a list of extensions", type(found).__name__,
                          "manifest.extension")  # fmt: skip


def later_elements_are_typed(manifest: Mapping[str, Any]) -> None:
    """ManifestType and outputFormat are text, a fileSize a positive number (bulk-man-26)."""
    sizes = [e["fileSize"] for e in entries_in(manifest, "output") if "fileSize" in e]
    found = {name: manifest[name] for name in _LATER if name in manifest}
    if not (found or sizes):
        raise NotApplicable("The manifest has nothing of later versions.")
    for name, value in found.items():
        if not isinstance(value, _LATER[name]):
            raise CheckFailed("An element of the manifest has another type.", "text",
                              type(value).__name__, f"manifest.{name}")  # fmt: skip
    if any(isinstance(s, bool) or not isinstance(s, int) or s < 0 for s in sizes):
        raise CheckFailed("The size of a file is no number.", "a number of bytes", "another value",
                          "manifest.output.fileSize")  # fmt: skip


def comes_in_one_part(manifest: Mapping[str, Any], waiting: Iterable[Exchange]) -> None:
    """Nothing is published early or in parts that was not asked for so (bulk-param-21)."""
    if any(b'"transactionTime"' in poll.body for poll in waiting if poll.status == 202):
        raise CheckFailed("A waiting answer holds a manifest, which was not asked for.",
                          "no manifest", "a manifest", "status 202")  # fmt: skip
    if next_part(manifest):
        raise CheckFailed("The manifest comes in parts, which was not asked for.", "no next link",
                          "a next link", "manifest.link")  # fmt: skip


def next_part(manifest: Mapping[str, Any]) -> str:
    """The address of the next part; empty for the last. Raises CheckFailed for other links."""
    links = entries_in(manifest, "link")
    if not links:
        return ""
    if len(links) != 1 or links[0].get("relation") != "next" or not links[0].get("url"):
        raise CheckFailed("The manifest's link is another than to its next part.",
                          "one link to the next", "another", "manifest.link")  # fmt: skip
    return str(links[0]["url"])


def parts_are_alike(pages: Sequence[Mapping[str, Any]]) -> None:
    """All that is not about a part itself is the same in each (bulk-man-23)."""
    for page in pages[1:]:
        for name in (pages[0].keys() | page.keys()) - _OF_A_PART:
            if page.get(name) != pages[0].get(name):
                raise CheckFailed("The parts of a manifest differ.", "the same in each part",
                                  "another value", f"manifest.{name}")  # fmt: skip


def part_is_unaltered(first: Mapping[str, Any], again: Mapping[str, Any]) -> None:
    """A published part lists the same files when it is asked for again (bulk-man-24)."""
    listed = [[(str(e.get("type")), e.get("count")) for e in entries_in(m, "output")]
              for m in (first, again)]  # fmt: skip
    if listed[0] != listed[1]:
        raise CheckFailed("A part of the manifest was altered later.", "the same files",
                          "others", "manifest.output")  # fmt: skip


def says_how_it_is_organized(manifest: Mapping[str, Any], kind: str) -> None:
    """OutputOrganizedBy names the type, and no file has a type of its own (bulk-man-21)."""
    if manifest.get("outputOrganizedBy") != kind:
        raise CheckFailed("The manifest does not say how its files are organized.", kind,
                          str(manifest.get("outputOrganizedBy", "absent")),
                          "manifest.outputOrganizedBy")  # fmt: skip
    if any("type" in entry for entry in entries_in(manifest, "output")):
        raise CheckFailed("A file that is organized by another type has a type.", "none",
                          "a type", "manifest.output.type")  # fmt: skip


def blocks_have_headers(resources: Sequence[Resource]) -> None:
    """A file begins with a header, and each block is about what its header names (bulk-param-20).

    A resource that names no instance of that type may stand in any block.
    """
    named: tuple[str, str] | None = None
    for index, resource in enumerate(resources):
        header = _header(resource)
        if header:
            named = header
        elif named is None:
            raise CheckFailed("A file does not begin with a header.", "Parameters with a header",
                              str(resource.get("resourceType")), f"line {index + 1}")  # fmt: skip
        elif not _is_about(resource, named):
            raise CheckFailed("A block holds what is about another instance.",
                              "resources of the header's instance",
                              f"a {resource.get('resourceType')} of another",
                              f"line {index + 1}")  # fmt: skip


def continuations_repeat_the_header(
    manifest: Mapping[str, Any], files: Iterable[DeliveredFile]
) -> None:
    """A file is continued by one that is listed and has its last header (bulk-man-22)."""
    by_url = {file.url: file.resources for file in files}
    chained = {str(e.get("url")): str(e["continuesInFile"])
               for e in entries_in(manifest, "output") if e.get("continuesInFile")}  # fmt: skip
    if not chained:
        raise NotApplicable("No file of the manifest is continued in another.")
    for url, following in chained.items():
        if following not in by_url:
            raise CheckFailed("A file is continued in one that is not listed.", "a listed file",
                              "another", "manifest.output.continuesInFile")  # fmt: skip
        headers = [h for r in by_url.get(url, []) if (h := _header(r))]
        first = by_url[following][:1]
        if not headers or not first or _header(first[0]) != headers[-1]:
            raise CheckFailed("A block goes on without its header.", "the same header",
                              "another line", "file")  # fmt: skip


def trimmed_are_tagged(resources: Sequence[Resource]) -> None:
    """Trimmed resources are tagged SUBSETTED and keep what is mandatory (bulk-param-08)."""
    if not resources:
        raise CannotTell("Nothing was delivered.")
    for resource in resources:
        kind = str(resource.get("resourceType"))
        tags = [t.get("code") for t in (resource.get("meta") or {}).get("tag", [])]
        if "SUBSETTED" not in tags:
            raise CheckFailed("A resource of an export of some elements is not tagged.",
                              "SUBSETTED", ", ".join(map(str, tags)) or "no tag",
                              f"{kind}.meta.tag")  # fmt: skip
        lacking = [name for name in _MANDATORY.get(kind, ()) if name not in resource]
        if lacking:
            raise CheckFailed("A mandatory element was left out.", ", ".join(lacking), "absent",
                              kind)  # fmt: skip


def one_provenance_each(provenances: Iterable[Resource]) -> None:
    """No resource is the target of two Provenance resources (bulk-param-13)."""
    targets = Counter(
        str(target.get("reference")) for p in provenances for target in p.get("target", [])
    )
    twice = sum(1 for count in targets.values() if count > 1)
    if not targets:
        raise CheckFailed("No Provenance was delivered, though it was asked for.",
                          "the latest Provenance of each", "none", "delivery")  # fmt: skip
    if twice:
        raise CheckFailed("More Provenance than the latest was delivered.", "one for a resource",
                          f"{twice} resources have several", "Provenance.target")  # fmt: skip


def is_compressed_as_said(exchange: Exchange, offered: str) -> None:
    """Content-Encoding names how the body is compressed, as was offered (bulk-out-11)."""
    said = exchange.header("Content-Encoding").lower() or "identity"
    if said not in (offered, "identity"):
        raise CheckFailed("A file is compressed in a way that was not offered.", offered, said,
                          "Content-Encoding")  # fmt: skip
    if said == "identity" and exchange.body.startswith(_GZIP):
        raise CheckFailed("A file is compressed and does not say so.", "Content-Encoding: gzip",
                          "absent", "Content-Encoding")  # fmt: skip


def attachment_urls(resources: Iterable[Resource]) -> list[str]:
    """The addresses of the attachments of documents."""
    return [
        str(attachment["url"]) for r in resources if r.get("resourceType") == "DocumentReference"
        for content in r.get("content", [])
        if (attachment := content.get("attachment") or {}).get("url")
    ]  # fmt: skip


def attachments_are_absolute(resources: Iterable[Resource]) -> None:
    """Every attachment that lies elsewhere has an absolute address (bulk-out-15)."""
    found = attachment_urls(resources)
    if not found:
        raise CannotTell("No document of the delivery lies at an address.")
    relative = sum(1 for url in found if not urlsplit(url).scheme)
    if relative:
        raise CheckFailed("Attachments have relative addresses.", "absolute URLs",
                          f"{relative} of {len(found)} are relative",
                          "DocumentReference.content.attachment.url")  # fmt: skip


def binaries_are_named(resources: Mapping[tuple[str, str], Resource]) -> None:
    """Every Binary is the attachment of a delivered DocumentReference (bulk-out-17)."""
    named = {split_reference(url) for url in attachment_urls(resources.values())}
    loose = [key for key in resources if key[0] == "Binary" and key not in named]
    if loose:
        raise CheckFailed("A Binary was delivered that no DocumentReference names.",
                          "a DocumentReference with it as attachment", f"{len(loose)} without",
                          "Binary")  # fmt: skip


def references_are_own(resources: Iterable[Resource], fhir_base: str) -> None:
    """Every literal reference is relative, or absolute below the FHIR base (bulk-out-18)."""
    base = fhir_base.rstrip("/") + "/"
    for resource in resources:
        for reference in references_in(resource):
            relative = not urlsplit(reference).scheme and not reference.startswith("/")
            if not (relative or reference.startswith((base, "urn:"))):
                raise CheckFailed("A reference is neither relative nor of the exporting payer.",
                                  "Type/id, or a URL below the FHIR base", "another form",
                                  str(resource.get("resourceType")))  # fmt: skip


def _header(resource: Resource) -> tuple[str, str] | None:
    """What the header of a block names; None for any other line."""
    if resource.get("resourceType") != "Parameters":
        return None
    values: Iterator[Any] = (
        p.get("valueReference", {}).get("reference")
        for p in entries_in(resource, "parameter") if p.get("name") == "header"
    )  # fmt: skip
    return split_reference(next(values, None))


def _is_about(resource: Resource, named: tuple[str, str]) -> bool:
    own = (str(resource.get("resourceType")), str(resource.get("id")))
    told = {split_reference(reference) for reference in references_in(resource)} | {own}
    return named in told or not any(key and key[0] == named[0] for key in told)
