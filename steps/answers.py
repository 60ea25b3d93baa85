"""Steps that say something about one answer."""

from __future__ import annotations

import re

from pytest_bdd import parsers, then

from .checks import answers
from .seen import Seen
from .verdicts import CheckFailed

_NUMBER = re.compile(r"\d+")


@then(parsers.re(r"the answer has status (?P<statuses>[\d or]+)$"))
def answer_has_status(seen: Seen, statuses: str) -> None:
    answers.has_status(seen.exchange, map(int, _NUMBER.findall(statuses)))


@then("the answer is an OperationOutcome")
def answer_is_outcome(seen: Seen) -> None:
    answers.is_outcome(seen.exchange)


@then("the OperationOutcome has issues with severity and code")
def outcome_is_coded(seen: Seen) -> None:
    answers.has_coded_issues(seen.exchange)


@then("the answer is a refusal with an OperationOutcome")
def answer_is_refusal(seen: Seen) -> None:
    answers.is_refusal_with_outcome(seen.exchange)


@then("the answer holds no resource of a member")
def answer_holds_no_member(seen: Seen) -> None:
    answers.holds_no_member(seen.exchange)


@then(parsers.parse('the answer is a "{kind}" resource'))
def answer_is_resource(seen: Seen, kind: str) -> None:
    answers.is_resource(seen.exchange, kind)


@then(parsers.parse('the media type is "{wanted}"'))
def answer_has_media_type(seen: Seen, wanted: str) -> None:
    answers.has_media_type(seen.exchange, wanted)


@then(parsers.parse('the header "{name}" contains "{text}"'))
def answer_has_header(seen: Seen, name: str, text: str) -> None:
    answers.has_header(seen.exchange, name, text)


@then(parsers.parse('"{path}" contains "{value}"'))
def path_contains(seen: Seen, path: str, value: str) -> None:
    answers.contains(seen.json(), path, [value])


@then(parsers.parse('"{path}" contains one of "{values}"'))
def path_contains_one(seen: Seen, path: str, values: str) -> None:
    answers.contains(seen.json(), path, [v.strip() for v in values.split(",")])


@then(parsers.parse('"{path}" does not contain "{value}"'))
def path_contains_not(seen: Seen, path: str, value: str) -> None:
    answers.contains_not(seen.json(), path, value)


@then(parsers.parse('"{path}" is an absolute URL'))
def path_is_url(seen: Seen, path: str) -> None:
    answers.holds(seen.json(), path, "an absolute URL", answers.is_absolute_url)


@then(parsers.parse('"{path}" is a list that is not empty'))
def path_is_list(seen: Seen, path: str) -> None:
    answers.holds(
        seen.json(), path, "a list that is not empty", lambda v: isinstance(v, list) and bool(v)
    )


@then(parsers.parse('"{path}" is text that is not empty'))
def path_is_text(seen: Seen, path: str) -> None:
    answers.holds(seen.json(), path, "text", lambda v: isinstance(v, str) and bool(v.strip()))


@then(parsers.parse('"{path}" is a positive number'))
def path_is_positive(seen: Seen, path: str) -> None:
    answers.holds(
        seen.json(),
        path,
        "a positive number",
        lambda v: isinstance(v, int | float) and not isinstance(v, bool) and v > 0,
    )


@then(parsers.parse('"{path}" is at most {most:d}'))
def path_is_at_most(seen: Seen, path: str, most: int) -> None:
    answers.holds(
        seen.json(), path, f"at most {most}", lambda v: isinstance(v, int | float) and v <= most
    )


@then(parsers.parse('"{path}" is absent'))
def path_is_absent(seen: Seen, path: str) -> None:
    if answers.values_at(seen.json(), path):
        raise CheckFailed("A value is there that should not be.", "absent", "present", path)


@then(parsers.parse('"{path}" is "{value}" whatever the case'))
def path_is_any_case(seen: Seen, path: str, value: str) -> None:
    answers.holds(
        seen.json(),
        path,
        value,
        lambda v: isinstance(v, str) and v.lower() == value.lower(),
    )


@then(parsers.re(r'"(?P<path>[\w.]+)" is "(?P<value>[^"]+)"$'))
def path_is(seen: Seen, path: str, value: str) -> None:
    answers.holds(seen.json(), path, value, lambda v: v == value)


@then(parsers.parse('"{path}" starts with "{prefix}"'))
def path_starts_with(seen: Seen, path: str, prefix: str) -> None:
    answers.holds(
        seen.json(),
        path,
        f"text beginning with {prefix}",
        lambda v: isinstance(v, str) and v.startswith(prefix),
    )
