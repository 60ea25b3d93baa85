"""A delivery that is fetched: from a manifest's address, with a token, within bounds."""

from __future__ import annotations

import gzip
import json

import pytest
from click.testing import CliRunner
from payer_exchange.cli.main import cli
from payer_exchange.reference.errors import TargetError
from payer_exchange.reference.secret import Secret
from payer_exchange.reference.validation import manifest
from payer_exchange.reference.validation.manifest import fetch
from payer_exchange.simulators.serving import Server

GOOD = b'{"resourceType":"Patient","gender":"male"}\n'
BAD = b'{"resourceType":"Patient","gender":"M"}\n'


class Payer:
    """Answers each path with (status, body), and keeps who showed which token where."""

    def __init__(self):
        self.server = Server("127.0.0.1", 0)
        self.answers, self.tokens = {}, []
        self.server.start(self._app)

    @property
    def url(self):
        return f"{self.server.url}/manifest"

    def offers(self, *files, **more):
        """A manifest of some files, and the files."""
        output = []
        for number, body in enumerate(files):
            self.answers[f"/file/{number}"] = ("200 OK", body)
            output.append({"type": "Patient", "url": f"/file/{number}"})
        self.answers["/manifest"] = ("200 OK", json.dumps({"output": output, **more}).encode())

    def _app(self, environ, start):
        path = environ["PATH_INFO"]
        self.tokens.append((path, environ.get("HTTP_AUTHORIZATION", "")))
        status, body = self.answers.get(path, ("404 Not Found", b""))
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def payer():
    made = Payer()
    yield made
    made.server.stop()


def contents(paths):
    return [path.read_bytes() for path in paths]


def test_the_files_of_a_manifest_come_in_its_order(payer, tmp_path):
    payer.offers(GOOD, BAD, gzip.compress(GOOD, mtime=0))
    found = fetch(payer.url, tmp_path)
    assert contents(found) == [GOOD, BAD, gzip.compress(GOOD, mtime=0)]
    assert [path.suffix for path in found] == [".ndjson", ".ndjson", ".gz"]


def test_a_manifest_that_goes_on_is_followed(payer, tmp_path):
    payer.offers(GOOD, link=[{"relation": "next", "url": "/more"}])
    more = {"output": [{"type": "../x", "url": f"{payer.server.url}/file/0"}]}
    payer.answers["/more"] = ("200 OK", json.dumps(more).encode())
    found = fetch(payer.url, tmp_path)
    assert contents(found) == [GOOD, GOOD]
    assert {path.parent for path in found} == {tmp_path}


@pytest.mark.parametrize("required", [True, False])
def test_files_see_the_token_only_if_the_manifest_says_so(payer, tmp_path, required):
    payer.offers(GOOD, requiresAccessToken=required)
    fetch(payer.url, tmp_path, token=Secret("t-1"))
    own = "Bearer t-1"
    assert payer.tokens == [("/manifest", own), ("/file/0", own if required else "")]


def test_another_origin_sees_no_token(payer, tmp_path):
    other = Payer()
    try:
        other.offers(GOOD)
        payer.offers(requiresAccessToken=True, output=[
            {"type": "Patient", "url": f"{other.server.url}/file/0"}
        ])  # fmt: skip
        assert contents(fetch(payer.url, tmp_path, token=Secret("t-1"))) == [GOOD]
    finally:
        other.server.stop()
    assert other.tokens == [("/file/0", "")]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (("202 Accepted", b""), "not finished yet"),
        (("401 Unauthorized", b""), "needs a token"),
        (("500 Broken", b""), "status 500"),
        (("200 OK", b"<html>"), "manifest of Bulk Data"),
        (("200 OK", b"[]"), "manifest of Bulk Data"),
        (("200 OK", b'{"output":{}}'), "manifest of Bulk Data"),
        (("200 OK", b'{"output":[{"type":"Patient"}]}'), "manifest of Bulk Data"),
        (("200 OK", b'{"output":[5]}'), "manifest of Bulk Data"),
    ],
)
def test_what_is_no_manifest_is_told(payer, tmp_path, answer, told):
    payer.answers["/manifest"] = answer
    with pytest.raises(TargetError, match=told):
        fetch(payer.url, tmp_path)


def test_no_more_is_taken_than_may_come(payer, tmp_path, monkeypatch):
    payer.offers(GOOD, GOOD)
    with pytest.raises(TargetError, match="longer than is taken"):
        fetch(payer.url, tmp_path, most_bytes=len(GOOD) + 1)
    monkeypatch.setattr(manifest, "_MOST_FILES", 1)
    with pytest.raises(TargetError, match="more than 1 files"):
        fetch(payer.url, tmp_path)
    payer.offers(GOOD, link=[{"relation": "next", "url": "/manifest"}])
    monkeypatch.setattr(manifest, "_MOST_FILES", 100)
    monkeypatch.setattr(manifest, "_MOST_PAGES", 3)
    with pytest.raises(TargetError, match="more than 3 pages"):
        fetch(payer.url, tmp_path)


def test_an_address_is_validated_like_a_folder(payer, tmp_path):
    payer.offers(GOOD + BAD, BAD, requiresAccessToken=True)
    token = tmp_path / "token"
    token.write_text("t-1\n")
    made = CliRunner().invoke(cli, ["validate", payer.url, "--token-file", str(token), "--json"])
    told = json.loads(made.output)
    assert (made.exit_code, told["resources"], told["resources_with_errors"]) == (1, 3, 2)
    assert {one for _, one in payer.tokens} == {"Bearer t-1"}
    again = CliRunner().invoke(cli, ["validate", payer.url], env={"PAYER_EXCHANGE_TOKEN": "t-2"})
    assert again.exit_code == 1
    assert payer.tokens[-1][1] == "Bearer t-2"
