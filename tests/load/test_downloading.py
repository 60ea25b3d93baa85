"""Files in several streams, compressed or not, broken off and resumed; a wrong byte is found."""

import gzip
import io
from contextlib import contextmanager
from threading import Barrier, Lock

import pytest
from flask import Flask, request, send_file
from payer_exchange.load.downloading import Downloader
from payer_exchange.load.permission import Permission
from payer_exchange.load.scenario import Downloads, scenario_of
from payer_exchange.load.target import open_target
from payer_exchange.reference.errors import ExportFailed, SettingsError
from payer_exchange.reference.settings import AuthSettings, Settings, TargetSettings
from payer_exchange.simulators.serving import Server, serving

COUNT = 5000
LINES = b"".join(b'{"resourceType":"Patient","id":"p%d"}\n' % n for n in range(COUNT))


class Meter:
    """Keeps what is told, from several threads."""

    def __init__(self):
        self.checks, self.measures, self._lock = [], [], Lock()

    @contextmanager
    def step(self, *_):
        yield

    def measure(self, name, value, **told):
        with self._lock:
            self.measures.append((name, told))

    def check(self, name, problem):
        with self._lock:
            self.checks.append((name, problem))

    def count(self, name):
        return sum(n == name for n, _ in self.measures)

    def octets(self, name):
        return sum(told.get("octets", 0) for n, told in self.measures if n == name)

    def problems(self, name):
        return [problem for n, problem in self.checks if n == name and problem]


class Gate:
    """How many are inside at once, and were at most."""

    def __init__(self):
        self.now, self.most, self._lock = 0, 0, Lock()

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self._lock:
            self.now -= 1


class Files:
    """A server of files; it knows ranges, compresses, and changes a file, as it is told."""

    def __init__(self):
        self.app, self.asked = Flask(__name__), []
        self.ranges, self.tag, self.versions, self.moved = True, '"1"', [], 0
        self.met, self.gate, self.chunked = None, Gate(), False
        self.app.add_url_rule("/files/<name>", view_func=self.file)

    def file(self, name):
        with self.gate:
            return self.answer()

    def answer(self):
        self.asked.append(dict(request.headers))
        if self.met:
            self.met.wait(30)
        content = self.versions.pop(0) if self.versions else LINES
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return self.sent(gzip.compress(content)), 200, {"Content-Encoding": "gzip"}
        if self.chunked:
            return self.sent(content)
        media, etag = "application/fhir+ndjson", "1" if self.ranges else False
        answer = send_file(io.BytesIO(content), media, conditional=self.ranges, etag=etag)
        if self.ranges:
            answer.headers["ETag"] = self.tag
        if self.moved and answer.status_code == 206:
            answer.headers["Content-Range"] = f"bytes 7-{len(LINES) - 1}/{len(LINES)}"
        return answer

    def sent(self, content):
        """In chunks without a length in the head, or as it is."""
        return (
            (content[n : n + 50] for n in range(0, len(content), 50)) if self.chunked else content
        )


@pytest.fixture
def server():
    files = Files()
    with serving(Server(threads=10, at_once=10), files.app) as running:
        files.url = running.url
        yield files


def downloaded(files, *, count=COUNT, names=("a",), **terms):
    meter = Meter()
    asked = TargetSettings(f"{files.url}/fhir", auth=AuthSettings(method="bearer", token="t"))
    target = open_target(Settings(target=asked))
    output = [{"url": f"{files.url}/files/{name}", "count": count} for name in names]
    loader = Downloader(target, meter, Permission(asked), Downloads(**terms))
    try:
        meter.found = loader.all({"output": output}, None, sampled=True)
    finally:
        target.http.close()
    return meter


@pytest.mark.parametrize("packed", [True, False])
def test_what_comes_over_the_wire_and_what_it_holds_are_told_apart(server, packed):
    meter = downloaded(server, gzip=packed)
    sent = len(gzip.compress(LINES)) if packed else len(LINES)
    assert (meter.octets("wire"), meter.octets("download")) == (sent, len(LINES))
    assert meter.found.resources == len(meter.found.keys) == COUNT
    assert server.asked[0]["Accept-Encoding"] == ("gzip" if packed else "identity")


@pytest.mark.parametrize("packed", [True, False])
def test_of_a_file_in_chunks_the_bytes_are_told_where_they_can_be(server, packed):
    server.chunked = True
    meter = downloaded(server, gzip=packed)
    assert meter.octets("download") == len(LINES)
    # Of compressed chunks the library tells only what they hold.
    assert (meter.count("wire"), meter.octets("wire")) == ((0, 0) if packed else (1, len(LINES)))


@pytest.mark.parametrize("streams", [1, 4])
def test_repeated_files_are_compared_with_their_first_download(server, streams):
    meter = downloaded(server, streams=streams, names="abc", repeat=3, gzip=False)
    assert meter.count("download") == 9
    assert meter.octets("downloads") == 9 * len(LINES)
    assert [p for _, p in meter.checks] == [""] * 18
    assert meter.found.resources == 9 * COUNT


def test_so_many_streams_are_open_at_once(server):
    # No answer begins before all eight requests are there.
    server.met = Barrier(8)
    assert downloaded(server, streams=8, names="abcdefgh").count("download") == 8


def test_no_more_streams_are_open_than_were_asked_for(server):
    server.gate = Gate()
    downloaded(server, streams=2, names="abcdef")
    assert server.gate.most <= 2


@pytest.mark.parametrize(("tag", "sent"), [('"1"', '"1"'), ('W/"1"', None)])
def test_a_file_that_was_broken_off_is_resumed_where_it_ended(server, tag, sent):
    server.tag = tag
    meter = downloaded(server, repeat=2, resume=1.0)
    half = len(LINES) // 2
    assert [a.get("Range") for a in server.asked] == [None, None, f"bytes={half}-"]
    assert (server.asked[2].get("If-Range"), server.asked[2]["Accept-Encoding"]) == (
        sent, "identity",
    )  # fmt: skip
    assert (meter.count("resumed"), meter.count("begun-anew")) == (1, 0)
    assert [p for _, p in meter.checks] == [""] * 4


def test_a_server_without_ranges_sends_the_file_whole_again(server):
    server.ranges = False
    meter = downloaded(server, repeat=2, resume=1.0)
    assert (meter.count("resumed"), meter.count("begun-anew")) == (0, 1)
    assert meter.octets("begun-anew") == len(LINES) // 2
    assert [p for _, p in meter.checks] == [""] * 4
    assert meter.found.resources == 2 * COUNT


def test_a_share_of_the_repeated_downloads_is_broken_off(server):
    meter = downloaded(server, names="ab", repeat=5, resume=0.25, streams=2)
    assert (meter.count("download"), meter.count("resumed")) == (10, 2)


def test_a_file_that_is_resumed_with_other_bytes_is_found(server):
    server.versions = [LINES, LINES, LINES.replace(b"p4999", b"p499x")]
    meter = downloaded(server, repeat=2, resume=1.0, gzip=False)
    assert len(meter.problems("file-is-the-same-again")) == 1
    assert meter.problems("file-has-the-announced-count") == []


def test_a_file_that_is_shorter_than_announced_is_found(server):
    meter = downloaded(server, count=COUNT + 1, repeat=2)
    assert len(meter.problems("file-has-the-announced-count")) == 2


def test_a_range_that_was_not_asked_for_is_refused(server):
    server.moved = 7
    with pytest.raises(ExportFailed, match="another byte"):
        downloaded(server, repeat=2, resume=1.0)


@pytest.mark.parametrize("streams", [1, 3])
def test_a_file_that_is_not_there_ends_the_others_too(server, streams):
    with pytest.raises(ExportFailed, match="404"):
        downloaded(server, names=("a", "b/none", "c"), streams=streams)


@pytest.mark.parametrize(
    ("downloads", "said"),
    [
        ({"stream": 2}, "Did you mean streams"),
        ({"streams": 0}, "from 1 to 64"),
        ({"repeat": 1e9}, "from 1 to 10000"),
        ({"gzip": 1}, "true or false"),
        ({"resume": 0.5}, "repeat 2 at least"),
        ({"resume": 1.5, "repeat": 2}, "1 at most"),
    ],
)
def test_how_files_are_downloaded_is_read_strictly(downloads, said):
    with pytest.raises(SettingsError, match=said):
        scenario_of({"journeys": {"group-export": 1}, "downloads": downloads}, "own")


def test_how_files_are_downloaded_is_part_of_a_scenario():
    told = {"streams": 8, "gzip": False, "repeat": 3, "resume": 0.5}
    found = scenario_of({"journeys": {"group-export": 1}, "downloads": told}, "own")
    assert found.downloads == Downloads(8, gzip=False, repeat=3, resume=0.5)
