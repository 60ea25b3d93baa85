from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from payer_exchange.load.figures import Figures, LoadResults, Measure, Problem
from payer_exchange.load.junit import junit
from payer_exchange.load.page import page
from payer_exchange.load.summary import markdown
from payer_exchange.load.thresholds import Thresholds

JOB = Measure(kind="measure", name="job", unit="ms", count=10, failures=0, seconds=1.0, octets=0,
              resources=5, mean=90, min=80, p50=90, p90=95, p95=150, p99=160, p999=165,
              max=170)  # fmt: skip
WRONG = replace(JOB, kind="check", name="export-is-the-truth", count=4, failures=1)
ROW = {"journeys": 2, "failures": 0, "in_flight": 1, "dropped": 0, "resources": 5}
ROWS = (
    {"second": 0, **ROW, "p50": 80.0, "p95": 90.0, "p99": 90.0},
    {"second": 1, **ROW, "p50": None, "p95": None, "p99": None},
    {"second": 2, **ROW, "p50": 95.0, "p95": 150.0, "p99": 170.0},
)
FIGURES = Figures((JOB, WRONG), (Problem("measure", "job", "<script>", 1),), timeline=ROWS)
LIMITS = Thresholds(measures={"job": {"p95_ms": 100.0, "p99_ms": 200.0}})
RESULTS = LoadResults("LT1", "http://127.0.0.1", "", 3.0, FIGURES, LIMITS.judge(FIGURES))


def test_junit_says_by_how_much_a_threshold_is_missed():
    suite = ET.fromstring(junit(RESULTS))
    failed = {c.get("name"): c.find("failure") for c in suite.iter("testcase")}
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "2", "0")
    assert failed["job p99_ms"] is None
    assert failed["job p95_ms"].get("message") == (
        "job p95_ms: 150 was measured, the limit is 100, missed by 50%."
    )
    assert "1 of 4" in failed["export-is-the-truth"].get("message")


def test_junit_tells_a_generator_that_was_the_bottleneck_as_an_error():
    busy = replace(RESULTS, figures=replace(FIGURES, generator_problem="Too slow."))
    suite = ET.fromstring(junit(busy))
    assert suite.get("errors") == "1"
    assert suite.find("testcase/error").get("message") == "Too slow."


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.paths, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        found = dict(attrs)
        self.links += [v for k, v in found.items() if k in ("src", "href")]
        if found.get("stroke-width"):
            self.paths.append(found["d"])


def test_the_page_needs_no_other_file_and_escapes_what_a_target_says():
    seen = Seen()
    seen.feed(page(RESULTS))
    assert seen.tags.count("svg") == 5
    assert (seen.links, "script" in seen.tags) == ([], False)


def test_what_happened_to_the_payer_is_marked_on_every_plot_over_time():
    marked = replace(FIGURES, marks=((1.0, "payer <killed>"), (1.5, "answers again")))
    results = LoadResults("LT10", "http://x/fhir", "now", 2.0, marked, (), faults=("reset=5%",))
    written = page(results)
    assert "reset=5%" in written
    plots = written.count("<svg") - written.count('aria-label="distribution"')
    assert written.count("payer &lt;killed&gt;") == written.count("answers again") == plots > 0


def test_a_second_without_a_value_is_a_gap_in_the_line():
    seen = Seen()
    seen.feed(page(RESULTS))
    journeys, p50 = seen.paths[:2]
    assert (journeys.count("M"), p50.count("M")) == (1, 2)


def test_a_run_in_which_nothing_came_to_its_end_says_what_to_do():
    nothing = replace(RESULTS, figures=Figures(()))
    assert nothing.exit_status == 3
    for written in (page(nothing), markdown(nothing), junit(nothing)):
        assert "No journey came to its end" in written
    assert RESULTS.reason == ""
    broken = replace(RESULTS, figures=replace(FIGURES, harness_errors=("KeyError", "KeyError")))
    assert broken.reason.startswith("The harness broke (KeyError)")
