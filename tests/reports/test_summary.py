from pathlib import Path

from payer_exchange.reports.summary import render

GOLDEN = Path(__file__).parent / "golden"


def test_the_summary_of_every_verdict(found):
    assert render(found) == (GOLDEN / "summary.md").read_text(encoding="utf-8")


def test_markup_in_a_message_is_shown_as_text(make_results, make_scenario):
    text = "<script>alert(1)</script> | `code` [link](https://x)\n# head"
    rendered = render(make_results(make_scenario("1-a/x", "fail", message=text)))
    assert "<script>" not in rendered
    assert "\n# head" not in rendered
    assert "\\[link\\]" in rendered
