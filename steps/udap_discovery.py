"""Steps of UDAP discovery: what the metadata says, and whether it is signed as it must be."""

from __future__ import annotations

from pytest_bdd import parsers, then, when

from .checks import answers, udap
from .seen import Seen
from .udap_run import is_offered
from .verdicts import CannotTell, CheckFailed, NotApplicable


@when("the UDAP metadata is read")
def metadata_is_read(seen: Seen) -> None:
    seen.look_at(seen.run.udap.described())


@when("the UDAP metadata is asked for by nobody in particular")
def metadata_by_nobody(seen: Seen) -> None:
    exchange = seen.look_at(seen.run.udap.answer())
    if not is_offered(exchange):
        raise NotApplicable("The target offers no UDAP.")


@when("the address of the UDAP metadata is asked")
def address_is_asked(seen: Seen) -> None:
    if is_offered(seen.look_at(seen.run.udap.answer())):
        raise NotApplicable("The target offers UDAP.")


@when("the UDAP metadata is read for another community")
def metadata_of_another(seen: Seen) -> None:
    run = seen.run.udap
    run.described()
    seen.look_at(run.answer(run.other_community))


@when("the UDAP metadata is read for a community that nobody knows")
def metadata_of_unknown(seen: Seen) -> None:
    seen.run.udap.described()
    seen.look_at(seen.run.udap.answer("urn:example:a-community-that-nobody-knows"))


@then(parsers.parse('the list "{name}" is exactly "{value}"'))
def list_is_exactly(seen: Seen, name: str, value: str) -> None:
    udap.is_exactly(seen.json(), name, [value])


@then(parsers.parse('"{part}" is a part of "{whole}"'))
def is_part_of(seen: Seen, part: str, whole: str) -> None:
    udap.is_subset(seen.json(), part, whole)


@then("the profile for client credentials is there if they are offered")
def profile_for_grant(seen: Seen) -> None:
    content = seen.json()
    if "client_credentials" in (content.get("grant_types_supported") or []):
        answers.contains(content, "udap_profiles_supported", ["udap_authz"])


@then("refresh tokens are offered along with the code flow only")
def refresh_with_code(seen: Seen) -> None:
    found = seen.json().get("grant_types_supported") or []
    if "refresh_token" in found and "authorization_code" not in found:
        raise CheckFailed("Refresh tokens are offered without the code flow.",
                          "authorization_code beside them", ", ".join(map(str, found)),
                          "grant_types_supported")  # fmt: skip


@then("it is signed by the certificate it carries")
def signed_by_certificate(seen: Seen) -> None:
    udap.is_signed_by_its_certificate(udap.signed_metadata(seen.json()))


@then("it is signed in the name of the FHIR base, which the certificate has")
def signed_by_base(seen: Seen) -> None:
    base = seen.run.settings.target.fhir_base
    udap.is_issued_by_base(udap.signed_metadata(seen.json()), base)


@then("it is dated, and good for a year at most")
def signed_in_time(seen: Seen) -> None:
    udap.is_in_its_time(udap.signed_metadata(seen.json()))


@then("the endpoints are signed, and are those beside them")
def endpoints_signed(seen: Seen) -> None:
    content = seen.json()
    udap.repeats_endpoints(udap.signed_metadata(content), content)


@then("its certificate leads to a trust anchor")
def leads_to_anchor(seen: Seen) -> None:
    anchors = seen.run.udap.identity.trust.anchors
    udap.leads_to_anchor(udap.signed_metadata(seen.json()).certificates(), anchors)


@then("its certificate leads to that community's authority")
def leads_to_other(seen: Seen) -> None:
    anchors = [seen.run.udap.other_authority.anchor]
    udap.leads_to_anchor(udap.signed_metadata(seen.json()).certificates(), anchors)


@then("another reading has the same signature or another jti")
def jti_is_not_reused(seen: Seen) -> None:
    first = udap.signed_metadata(seen.json())
    run = seen.run
    community = run.settings.target.auth.udap.community
    run.forget("udap", community)
    second = udap.signed_metadata(run.json_of(seen.look_at(run.udap.answer(community))))
    if first.claims.get("jti") is None:
        raise CannotTell("The signed metadata has no jti.")
    if first.claims.get("jti") == second.claims.get("jti") and first.signed != second.signed:
        raise CheckFailed("A jti is used for two statements.", "one jti for each",
                          "the same", "signed_metadata jti")  # fmt: skip
