"""The HTTP surface of both payers, asked as their own descriptions allow and forbid.

Nothing may break a payer, and every refusal is an OperationOutcome or an OAuth error.
"""

from __future__ import annotations

import copy
import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH
from payer_exchange.reference.fhir.pdex import BULK_MEMBER_MATCH
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.requesting import RequestingPayer, RequestingSettings
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.simulators.openapi import describe
from payer_exchange.simulators.requesting import RequestingSimulator
from schemathesis.generation import GenerationMode

# A few in every run; PAYER_EXCHANGE_FUZZ=200 for a long one.
EXAMPLES = int(os.environ.get("PAYER_EXCHANGE_FUZZ", "3"))
# RFC 6749, 5.2; RFC 6750, 3.1; RFC 7009, 2.2.1; RFC 7591, 3.2.2.
OAUTH = frozenset({
    "invalid_request", "invalid_token", "insufficient_scope", "invalid_client", "invalid_grant",
    "unauthorized_client", "invalid_scope", "unsupported_grant_type", "unsupported_token_type",
    "invalid_software_statement", "unapproved_software_statement", "invalid_client_metadata",
    "invalid_redirect_uri",
})  # fmt: skip
MODES = list(GenerationMode)


@pytest.fixture(scope="module")
def responding(make_node):
    """The responding payer with UDAP, what is there in it, and a token for all."""
    node = make_node(udap=True)
    caller = node.caller()
    member = caller.match("unique")
    begun = caller.kick_off()
    node.finish_exports()
    job = caller.path(begun.headers["Content-Location"]).rsplit("/", 1)[-1]
    [file, *_] = caller.get(f"export-status/{job}").get_json()["output"]
    known = {"ident": member, "job_id": job, "name": file["url"].rsplit("/", 1)[-1],
             "kind": "Observation", "patient": member}  # fmt: skip
    token = caller.token(f"system/*.rs {MEMBER_MATCH} {BULK_MEMBER_MATCH}")
    return node.app, known, (token, node.payer.settings.admin_token.reveal(), "")


@pytest.fixture(scope="module")
def requesting(tmp_path_factory):
    """The requesting payer, with nobody in it, and the tokens of its operator and its admin."""
    identity = PayerIdentity("https://example.org/payer-id", "NEW", "New")
    folder = tmp_path_factory.mktemp("requesting")
    told = RequestingSettings("http://q.test/fhir", identity, folder, allow_loopback=True)
    payer = RequestingPayer(told, open_data_dir(folder, "q"))
    yield (
        RequestingSimulator(payer).app,
        {"kind": "Task"},
        (told.operator_token.reveal(), told.admin_token.reveal(), ""),
    )
    payer.close()


def operations(app, known, mode):
    """Each operation of the app's description, with ids that are there among the made-up ones.

    What takes neither parameters nor a body cannot be asked wrongly.
    """
    description = copy.deepcopy(describe(app, "a payer"))
    for path in description["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in known:
                    there = {"const": known[parameter["name"]]}
                    parameter["schema"] = {"anyOf": [there, parameter["schema"]]}
    schema = schemathesis.openapi.from_dict(description)
    schema.app = app
    found = [operation.ok() for operation in schema.get_all_operations()]
    takes = ("parameters", "requestBody")
    wrong = mode is GenerationMode.NEGATIVE
    return [o for o in found if not wrong or any(t in o.definition.raw for t in takes)]


def ask(operation, mode, tokens):
    """The answers to an operation, asked some times with each token."""
    answers = []

    def look(case):
        for token in tokens:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answers.append(case.call(base_url="http://localhost", headers=headers))

    looked = given(case=operation.as_strategy(generation_mode=mode))(look)
    some = settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    some(looked)()
    return answers


def problem(answer):
    """What is wrong with an answer; empty when nothing is."""
    if answer.status_code >= 500:
        return "it breaks the payer"
    if answer.status_code < 400 or not answer.content:
        return "" if answer.status_code < 400 else "the refusal says nothing"
    try:
        content = answer.json()
    except ValueError:
        return "the refusal is no JSON"
    if content.get("resourceType") == "OperationOutcome":
        return "" if content["issue"] else "the OperationOutcome has no issue"
    return "" if content.get("error") in OAUTH else "the refusal has another form"


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("role", ["responding", "requesting"])
def test_every_answer_has_the_form_it_must_have(request, role, mode):
    app, known, tokens = request.getfixturevalue(role)
    found = operations(app, known, mode)
    assert len(found) > 10
    problems, statuses = set(), set()
    for operation in found:
        for answer in ask(operation, mode, tokens):
            statuses.add(answer.status_code)
            if told := problem(answer):
                problems.add((operation.label, answer.status_code, told))
    assert problems == set()
    # The run is no run if everything is refused for one reason.
    assert {200, 400, 401, 404} <= statuses
