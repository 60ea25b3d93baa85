"""Exports of a matched Group: `$davinci-data-export` and `$export` over the same engine."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest
from payer_exchange.reference.fhir.pdex import PAYER_TO_PAYER

from .test_bulk_match import body, bundle, result

TYPE = {"name": "exportType", "valueCanonical": PAYER_TO_PAYER}
NAMES = {"A": "unique", "K": "every-claim", "H": "prior-authorizations"}


def asked(*parameters, with_type=True):
    listed = [*([TYPE] if with_type else []), *parameters]
    return {"resourceType": "Parameters", "parameter": listed}


class Matched:
    """A client with a Group of three members."""

    def __init__(self, node):
        self.caller = node.caller()
        bundles = [bundle(self.caller, name) for name in NAMES.values()]
        _, _, groups = result(self.caller, body(*bundles))
        self.group = groups["match"]["id"]
        self.members = {key: node.member(key)["patient_id"] for key in NAMES}

    def path(self, operation="$davinci-data-export"):
        return f"Group/{self.group}/{operation}"

    def export(self, *parameters, operation="$davinci-data-export"):
        content = asked(*parameters, with_type=operation != "$export")
        return self.caller.export(self.path(operation), content if content["parameter"] else None)


@pytest.fixture(scope="module")
def matched(node):
    return Matched(node)


@pytest.mark.parametrize("operation", ["$davinci-data-export", "$export"])
def test_a_group_is_exported_as_the_truth_table_says(node, matched, operation):
    manifest, lines = matched.export(operation=operation)
    expected = Counter()
    for key in NAMES:
        expected.update(node.expected(key).keys())
    assert node.own(node.keys_of(lines)) == node.own(expected)
    assert manifest["request"].endswith(matched.path(operation))


def test_export_type_must_be_the_one_of_payer_to_payer(node, matched):
    caller, path = matched.caller, matched.path()
    node.issue(caller.kick_off(path, asked({"name": "_type", "valueString": "Patient"},
                                           with_type=False)), 400, "required")  # fmt: skip
    for code in (
        "hl7.fhir.us.davinci-pdex#provider-delta",
        "hl7.fhir.us.davinci-atr",
        "payertopayer",
    ):
        wrong = {"name": "exportType", "valueCanonical": code}
        node.issue(caller.kick_off(path, asked(wrong, with_type=False)), 400, "not-supported",
                   "exportType")  # fmt: skip
    assert caller.get(path).status_code in (404, 405)


def test_patients_outside_the_group_are_left_out_and_told_of(node, matched):
    stranger = node.member("M")["patient_id"]
    wanted = [{"name": "patient", "valueReference": {"reference": f"Patient/{ident}"}}
              for ident in (matched.members["A"], stranger, "nobody")]  # fmt: skip
    manifest, lines = matched.export(*wanted)
    assert [json.loads(line)["id"] for line in lines["Patient"]] == [matched.members["A"]]
    outcomes = [json.loads(line) for line in lines["OperationOutcome"]]
    assert [o["issue"][0]["expression"] for o in outcomes] == [["patient"]] * 2
    assert [f["type"] for f in manifest["error"]] == ["OperationOutcome"]
    assert stranger not in json.dumps(outcomes)


def test_the_bulk_data_operation_refuses_strangers(node, matched):
    stranger = f"Patient/{node.member('M')['patient_id']}"
    content = asked({"name": "patient", "valueReference": {"reference": stranger}}, with_type=False)
    node.issue(matched.caller.kick_off(matched.path("$export"), content), 400, "not-found")


@pytest.mark.parametrize(("version", "kept"), [("2.2.0", True), ("2.1.0", False)])
def test_an_old_since_is_raised_in_2_1_0_alone(new_node, version, kept):
    node = new_node(pdex_version=version)
    caller = node.caller()
    _, lines, groups = result(caller, body(bundle(caller, "unique")))
    if version == "2.1.0":
        [envelope] = map(json.loads, lines["Parameters"])
        groups = {"match": envelope["parameter"][0]["resource"]}
    since = {"name": "_since", "valueInstant": "2000-01-01T00:00:00Z"}
    path = f"Group/{groups['match']['id']}/$davinci-data-export"
    begun = caller.kick_off(path, asked(since))
    node.finish_exports()
    [job] = [j for j in node.payer.jobs.of(caller.client_id) if j.kind == "export"]
    sinces = [v for n, v in job.content["pairs"] if n == "_since"]
    assert begun.status_code == 202
    assert sinces[-1] == ("2000-01-01T00:00:00Z" if kept else "2022-01-15T12:00:00.000Z")


def test_who_withdraws_before_the_kick_off_is_not_in_it(new_node):
    node = new_node()
    matched = Matched(node)
    node.admin("POST", f"members/{matched.members['K']}/withdraw")
    _, lines = matched.export()
    assert {json.loads(line)["id"] for line in lines["Patient"]} == {
        matched.members["A"], matched.members["H"]
    }  # fmt: skip


def test_a_consent_that_ends_meanwhile_ends_the_export(new_node):
    node = new_node()
    matched = Matched(node)
    node.clock.advance(timedelta(days=365))
    manifest, lines = matched.export()
    assert (manifest["output"], lines) == ([], {})


def test_a_group_of_nobody_exports_nothing(node):
    caller = node.caller()
    _, _, groups = result(caller, body(bundle(caller, "unknown")))
    manifest, _ = caller.export(f"Group/{groups['match']['id']}/$export")
    assert manifest["output"] == []


def test_who_withdraws_before_the_download_is_left_out_and_nobody_else(new_node):
    node = new_node()
    matched = Matched(node)
    begun = matched.caller.kick_off(matched.path(), asked())
    node.finish_exports()
    node.admin("POST", f"members/{matched.members['K']}/withdraw")
    status = matched.caller.path(begun.headers["Content-Location"])
    manifest = matched.caller.get(status).get_json()
    assert all("count" not in entry for entry in manifest["output"])
    lines = {}
    for entry in manifest["output"]:
        answer = matched.caller.get(matched.caller.path(entry["url"]))
        assert answer.status_code == 200
        lines.setdefault(entry["type"], []).extend(answer.data.splitlines())
    expected = Counter()
    for key in ("A", "H"):
        expected.update(node.expected(key).keys())
    assert node.own(node.keys_of(lines)) == node.own(expected)
    assert matched.members["K"].encode() not in b"".join(b"".join(v) for v in lines.values())


def test_an_export_goes_when_everybody_in_it_has_withdrawn(new_node):
    node = new_node()
    matched = Matched(node)
    begun = matched.caller.kick_off(matched.path(), asked())
    node.finish_exports()
    for member in matched.members.values():
        node.admin("POST", f"members/{member}/withdraw")
    node.issue(matched.caller.get(matched.caller.path(begun.headers["Content-Location"])), 404)
