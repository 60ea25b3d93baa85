from html.parser import HTMLParser

import pytest
from payer_exchange.reports.catalogue import conflicts
from payer_exchange.reports.exchanges import shown
from payer_exchange.reports.html import render

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
VOID = {"meta", "input", "br", "img", "link"}


class Page(HTMLParser):
    """The elements of a page; fails on one that is not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture
def page(found, entry):
    return render(found, {"e0002": shown(entry)})


def test_the_page_tells_verdict_findings_and_exchanges(page):
    assert "violates 1 requirement that it SHALL meet" in page
    assert page.index("The token request was not refused.") < page.index("lives too long")
    assert "The server refuses" in page or "smart-jwt-11" in page
    assert "$TOKEN" in page
    assert "/Patient/$MEMBER/\\$export" in page
    assert "The answer came too late." in page


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(page):
    elements = Page(page)
    assert len(elements.all("h1")) == 1
    assert len(elements.all("script")) == 1
    assert not [a for _, a in elements.elements if "src" in a or "onclick" in a]
    assert not elements.all("link")
    assert all(a["href"].startswith("#") for a in elements.all("a"))
    assert "url(" not in page
    assert "@import" not in page


def test_markup_in_what_a_target_answers_is_shown_as_text(make_results, make_scenario, entry):
    facts = dict.fromkeys(("message", "expected", "actual", "where", "name", "feature"), HOSTILE)
    entry["response"]["content"]["text"] = entry["request"]["url"] = HOSTILE
    entry["request"]["headers"][1]["value"] = entry["response"]["comment"] = HOSTILE
    scenarios = [
        make_scenario(f"1-a/{v}", v, evidence=("e0002",), requirements=(HOSTILE,), **facts)
        for v in ("fail", "warn", "skip", "error", "omit", "pass")
    ]
    rendered = render(make_results(*scenarios), {"e0002": shown(entry)})
    elements = Page(rendered)
    assert len(elements.all("script")) == 1
    assert not elements.all("img")
    assert not [a for _, a in elements.elements if "onerror" in a]
    assert "&lt;script&gt;alert(1)" in rendered


def test_each_scenario_can_be_found_and_filtered(page, found):
    rows = [a for a in Page(page).all("tr") if "scenario" in (a.get("class") or "")]
    assert len(rows) == len(found.scenarios)
    assert {a["data-verdict"] for a in rows} == {"pass", "fail", "warn", "skip", "omit", "error"}
    assert any("smart-jwt-11" in a["data-text"] for a in rows)


def test_a_run_without_deviation_says_so(make_results, make_scenario):
    rendered = render(make_results(make_scenario("1-a/x", "pass")))
    assert "Nothing: no scenario found a deviation." in rendered
    Page(rendered)


@pytest.mark.parametrize(("verdict", "told"), [("warn", "second"), ("pass", "first")])
def test_a_conflict_is_told_with_both_readings_and_the_one_followed(
    make_results, make_scenario, verdict, told
):
    conflict = conflicts()[0]
    tagged = make_scenario("7-payload/denied", verdict, tags=(conflict.tag,), message="Sent.")
    page = render(make_results(tagged))
    assert page.count(f"This payer follows the {told} reading.") == 1
    for reading in conflict.readings:
        assert page.count(reading.says) == (2 if verdict == "warn" else 1)


def test_a_conflict_that_no_scenario_told_of_is_followed_either_way(found):
    assert "This payer follows" not in render(found)
