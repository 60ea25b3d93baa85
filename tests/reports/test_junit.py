from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from payer_exchange.reports.junit import render

GOLDEN = Path(__file__).parent / "golden"


def test_every_verdict_as_a_ci_server_reads_it(found):
    assert render(found) == (GOLDEN / "results.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["<script>&\"'", "a\x00b\x1b[31m", "line\nline", "\ud800"])
def test_any_message_is_well_formed_xml(make_results, make_scenario, text):
    rendered = render(make_results(make_scenario("1-a/x", "fail", message=text, actual=text)))
    ET.fromstring(rendered.encode())


def test_features_come_in_the_order_of_the_exchange(make_results, make_scenario):
    ids = ("own/x", "10-last/x", "2-second/x", "1-first/x")
    root = ET.fromstring(render(make_results(*(make_scenario(i, "pass") for i in ids))).encode())
    assert [suite.get("name") for suite in root] == ["First", "Second", "Last", "own"]
