"""Defects of member match: when it is asked for, and what is submitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...reference.errors import NoMatch
from ...reference.fhir import json
from ...reference.http import Exchange
from ...reference.requesting import exchange
from ...reference.requesting.exchange import Matched
from .registry import RECEIVED, defect, sending


def _match(
    ident: str, summary: str, change: Callable[[dict[str, Any]], Any], *violates: str,
    also: tuple[str, ...] = (), version: str = "2.2.0",
) -> None:  # fmt: skip
    """Match requests with other parts."""

    def tamper(sent: Exchange) -> None:
        if sent.url.endswith("$member-match"):
            body = json.read(sent.request_body)
            parts = {p["name"]: p.get("resource", {}) for p in body["parameter"]}
            change(parts)
            body["parameter"] = [{"name": n, "resource": r} for n, r in parts.items()]
            sent.request_body = json.write(body)

    defect(ident, summary, *violates, also=also, version=version)(lambda: sending(tamper))


@defect(
    "Q20",
    "A Patient is searched for before the match",
    "pdex-196",
    "pdex-209",
    also=(
        "pdex-195",
        "pdex-238",
    ),
)
def data_first() -> None:
    owner = _matcher()
    strict = owner.match

    def match(self: Any, asked: Any) -> Matched:
        self.target.get("Patient?family=anybody", self.authorize())
        found: Matched = strict(self, asked)
        return found

    owner.match = match


def _not_found(answer: Callable[[Callable[[], Matched]], Matched]) -> None:
    """Do something else than stop where a member was not found; it may ask again."""
    owner = _matcher()
    strict = owner.match

    def match(self: Any, asked: Any) -> Matched:
        try:
            found: Matched = strict(self, asked)
        except NoMatch:
            return answer(lambda: strict(self, asked))
        return found

    owner.match = match


@defect("Q21", "A member who was not found is asked for all the same", "pdex-196")
def data_anyway() -> None:
    _not_found(lambda _again: Matched(("system", "value"), "guessed"))


@defect("Q22", "A match without MemberId is taken for none", "pdex-200")
def needs_member_id() -> None:
    owner = _matcher()

    def find_patient(_self: Any, matched: Matched) -> Matched:
        if not matched.patient:
            raise NoMatch("The match has no MemberId.")
        return matched

    owner.find_patient = find_patient


def _matcher() -> Any:
    """The class that does an exchange."""
    return next(
        found for found in vars(exchange).values()
        if isinstance(found, type) and hasattr(found, "find_patient")
    )  # fmt: skip


def _change(part: str, **elements: Any) -> Callable[[dict[str, Any]], None]:
    """Other elements in a part; None takes one out."""

    def change(parts: dict[str, Any]) -> None:
        for name, value in elements.items():
            if value is None:
                parts[part].pop(name, None)
            else:
                parts[part][name] = value

    return change


def _provision(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda parts: change(parts["Consent"]["provision"])


def _swap_actors(provision: dict[str, Any]) -> None:
    first, second = provision["actor"]
    first["reference"], second["reference"] = second["reference"], first["reference"]


_match("Q30", "The match request holds a parameter that HRex does not know",
       lambda parts: parts.update(Notes={"resourceType": "Basic"}),
       "hrex-prof-mm-in-slices",
       also=("cms0057-attestation", "hrex-mm-1", "hrex-mm-6", "hrex-prof-consent-action",
             "hrex-prof-consent-actors", "hrex-prof-consent-core", "hrex-prof-consent-nofilters",
             "hrex-prof-consent-period", "hrex-prof-consent-policy", "hrex-prof-coverage",
             "hrex-prof-mm-in-link-payer", "hrex-prof-patient", "hrex-mm-2", "hrex-mm-5",
             "pdex-205", "pdex-206"))  # fmt: skip
_match("Q31", "The match request does not hold the new coverage",
       lambda parts: parts.pop("CoverageToLink"), "hrex-prof-mm-in-link-payer",
       "cms0057-attestation", also=("hrex-mm-5",))  # fmt: skip
_match("Q32", "A Coverage names its Patient by an absolute address",
       _change("CoverageToMatch", beneficiary={"reference": "https://new.example/Patient/member-1"}),
       "hrex-mm-6")  # fmt: skip
_match("Q33", "The member is told without a birth date", _change("MemberPatient", birthDate=None),
       "hrex-prof-patient")  # fmt: skip
_match("Q34", "A Coverage names no payor", _change("CoverageToMatch", payor=None),
       "hrex-prof-coverage")  # fmt: skip
_match("Q35", "The Consent is a draft", _change("Consent", status="draft"),
       "hrex-prof-consent-core")  # fmt: skip
_match("Q36", "The Consent has no end", _provision(lambda p: p["period"].pop("end")),
       "hrex-prof-consent-period")  # fmt: skip
_match("Q37", "The Consent's policy is the payer's own",
       _change("Consent", policy=[{"uri": "https://new.example/policy"}]),
       "hrex-prof-consent-policy")  # fmt: skip
_match("Q38", "The Consent is for a purpose",
       _provision(lambda p: p.update(purpose=[{"code": "TREAT"}])),
       "hrex-prof-consent-nofilters")  # fmt: skip
_match("Q39", "The Consent is to collect",
       _provision(lambda p: p.update(action=[{"coding": [{"code": "collect"}]}])),
       "hrex-prof-consent-action")  # fmt: skip
_match("Q40", "The Consent has the payers the wrong way round", _provision(_swap_actors),
       "hrex-mm-1", "hrex-prof-consent-actors")  # fmt: skip


@defect("Q23", "The Patient is searched for by another identifier", "hrex-mm-3",
        also=RECEIVED)  # fmt: skip
def another_identifier() -> None:
    def change(sent: Exchange) -> None:
        if "/Patient?identifier=" in sent.url:
            sent.url = sent.url.partition("?")[0] + "?identifier=NEW-1"

    sending(change)


_match("Q41", "The new coverage tells what the member pays",
       _change("CoverageToLink", costToBeneficiary=[{"valueMoney": {"value": 20}}]),
       "hrex-mm-5")  # fmt: skip
_match("Q42", "The card's number is left out", _change("CoverageToMatch", subscriberId=None),
       "hrex-mm-2")  # fmt: skip
_match("Q43", "In PDex 2.0.0 the match request holds no Consent",
       lambda parts: parts.pop("Consent"), "hrex-prof-mm-in-consent-100",
       also=("pdex-205", "pdex-206", "cms0057-attestation", "hrex-mm-1", "hrex-prof-consent-action",
             "hrex-prof-consent-actors", "hrex-prof-consent-core", "hrex-prof-consent-nofilters",
             "hrex-prof-consent-period", "hrex-prof-consent-policy"),
       version="2.0.0")  # fmt: skip
_match("Q44", "Who gives the permission is named nowhere in the Consent",
       lambda parts: parts["Consent"].pop("contained", None), "pdex-205",
       also=("pdex-206",))  # fmt: skip
_match("Q45", "Who gives the permission is no actor of the Consent",
       _provision(lambda p: p.update(actor=p["actor"][:2])), "pdex-206")  # fmt: skip
_match("Q46", "The Consent is over",
       _provision(lambda p: p.update(period={"start": "2020-01-01", "end": "2020-12-31"})),
       "hrex-prof-consent-period")  # fmt: skip
_match("Q47", "The Consent ends before it begins",
       _provision(lambda p: p.update(period={"start": p["period"]["end"],
                                             "end": p["period"]["start"]})),
       "hrex-prof-consent-period")  # fmt: skip
_match("Q48", "The Consent names no source", _change("Consent", sourceReference=None),
       "hrex-prof-consent-core")  # fmt: skip
_match("Q49", "A Coverage has no number of the card",
       _change("CoverageToMatch", subscriberId=None, identifier=None), "hrex-prof-coverage",
       "hrex-mm-2")  # fmt: skip
_match("Q101", "The member is told without a gender", _change("MemberPatient", gender=None),
       "hrex-prof-patient")  # fmt: skip
_match("Q102", "The match request has the names of an older guide",
       lambda parts: parts.update(OldCoverage=parts.pop("CoverageToMatch")),
       "hrex-prof-mm-in-slices",
       also=("cms0057-attestation", "hrex-mm-1", "hrex-mm-2", "hrex-mm-5", "hrex-mm-6",
             "hrex-prof-consent-action", "hrex-prof-consent-actors", "hrex-prof-consent-core",
             "hrex-prof-consent-nofilters", "hrex-prof-consent-period",
             "hrex-prof-consent-policy", "hrex-prof-coverage", "hrex-prof-mm-in-link-payer",
             "hrex-prof-patient", "pdex-205", "pdex-206"))  # fmt: skip


@defect("Q103", "A member who was not found is asked for again", "pdex-196")
def asks_again() -> None:
    _not_found(lambda again: again())
