"""A responding payer with the named members for all tests, and callers of their own for each."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from payer_exchange.reference.asking import (
    consent_period,
    coverage_to_link,
    hrex_consent,
    member_match_parameters,
)
from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.registration.clients import Client
from payer_exchange.reference.trust import keys
from payer_exchange.reference.trust.signing import ASSERTION_TYPE, client_assertion
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.clients_assembly import REQUESTING, RESPONDING, SCOPES
from payer_exchange.simulators.responder_options import ResponderOptions

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
FHIR = "application/fhir+json"
OTHER = PayerIdentity("https://example.org/payer-id", "ANOTHER-PAYER", "Another payer")
# What members share.
SHARED = ("Location", "Organization", "Practitioner", "PractitionerRole")
_numbers = itertools.count()


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A data folder that holds the named members; copied, never used."""
    folder = tmp_path_factory.mktemp("filled")
    start_responder(ResponderOptions(members=1, data_dir=folder), clock=MovableClock(NOW)).close()
    return folder


@pytest.fixture(scope="session")
def client_jwk():
    """One key for every client that needs no particular one."""
    return keys.generate()


@pytest.fixture(scope="module")
def node(filled, client_jwk, tmp_path_factory):
    """The payer of a test file; its tests share it and bring clients of their own."""
    made = Node(filled, tmp_path_factory.mktemp("node") / "data", client_jwk)
    yield made
    made.close()


@pytest.fixture
def new_node(filled, client_jwk, tmp_path):
    """A payer made to measure, for tests that change it: settings as keywords."""
    made = []

    def make(**options):
        made.append(Node(filled, tmp_path / f"node-{len(made)}", client_jwk, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def make_node(filled, client_jwk, tmp_path_factory):
    """The same for a whole file."""
    made = []

    def make(**options):
        folder = tmp_path_factory.mktemp("node") / "data"
        made.append(Node(filled, folder, client_jwk, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def caller(node):
    """An approved client of the shared payer."""
    return node.caller()


class Node:
    """A responding payer, spoken to without a network."""

    def __init__(self, filled, folder, jwk, **options):
        shutil.copytree(filled, folder)
        self.jwk = jwk
        self.clock = MovableClock(NOW)
        self.running = start_responder(
            ResponderOptions(members=1, data_dir=folder, **options), clock=self.clock
        )
        self.payer = self.running.payer
        # One thread for exports, so that whoever waits for it has waited for every export before.
        self.payer.jobs._pool.shutdown()
        self.payer.jobs._pool = ThreadPoolExecutor(1)
        self.app = self.running.simulator.app
        self.http = self.app.test_client()
        self.truth = self.running.truth()

    def caller(self, organization=REQUESTING, **registration):
        """A new client: approved, with every scope, unless the registration says otherwise."""
        known = {"name": "A client", "scopes": SCOPES, "jwks": keys.public_set(self.jwk)}
        client = Client(
            f"client-{next(_numbers)}", organization=organization, **{**known, **registration}
        )
        self.payer.clients.register(client)
        return Caller(self, client)

    def call(self, method, path, body=None, *, token="", headers=(), content_type=FHIR):
        """The answer to a request; a path without a slash in front starts at the FHIR base."""
        sent = dict(headers)
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = json.dumps(body) if isinstance(body, dict | list) else body
        url = path if path.startswith("/") else f"/fhir/{path}"
        return self.http.open(
            url,
            method=method,
            data=data,
            content_type=content_type if data is not None else None,
            headers=sent,
        )

    def admin(self, method, path, body=None):
        return self.call(
            method, f"/admin/{path}", body, token=self.payer.settings.admin_token.reveal()
        )

    def finish_exports(self):
        """Return when every export that was started has ended."""
        self.payer.jobs._pool.submit(int).result(timeout=60)

    def member(self, key):
        return next(m for m in self.truth["members"] if m["key"] == key)

    def expected(self, key, *, policy="regular"):
        """What of a member must leave, by the truth table: {Type/id: how}."""
        gone = ("sensitive",) if policy == "sensitive" else ()
        return {
            name: "sent" if told["reason"] in gone else told["expect"]
            for name, told in self.member(key)["record"]["resources"].items()
            if told["expect"] != "withheld" or told["reason"] in gone
        }

    def request(self, name):
        return next(r for r in self.truth["requests"] if r["name"] == name)

    def close(self):
        self.running.close()

    @staticmethod
    def issue(answer, status, code=None, expression=None):
        """The first issue of a refusal, which must have the status and tell nothing of insides."""
        assert answer.status_code == status, (answer.status_code, answer.text[:500])
        assert answer.mimetype == FHIR
        outcome = answer.get_json()
        assert outcome["resourceType"] == "OperationOutcome"
        assert "Traceback" not in answer.text
        found = outcome["issue"][0]
        assert {one["severity"] for one in outcome["issue"]} == {"error"}
        if code:
            assert found["code"] == code
        if expression:
            assert found["expression"] == [expression]
        return found

    @staticmethod
    def keys_of(lines):
        """{Type/id: times} of exported lines, without the exchange's own Provenance."""
        return Counter(
            f"{kind}/{ident}"
            for kind, bodies in lines.items()
            for ident in (json.loads(body)["id"] for body in bodies)
            if not (kind == "Provenance" and ident.startswith("tx-"))
        )

    @staticmethod
    def own(found):
        """Those of some keys that belong to members; the truth table tells of no others."""
        return Counter({n: c for n, c in found.items() if n.split("/")[0] not in SHARED})

    @staticmethod
    def entry_keys(entries):
        """{Type/id: times} of Bundle entries, without the exchange's own Provenance."""
        return Counter(
            f"{resource['resourceType']}/{resource['id']}"
            for resource in (entry["resource"] for entry in entries)
            if not resource["id"].startswith("tx-")
        )


class Caller:
    """One registered requesting payer."""

    def __init__(self, node, client):
        self.node, self.client, self.client_id = node, client, client.client_id

    def assertion(self, jwk=None, **changes):
        headers = changes.pop("headers", None)
        return client_assertion(
            self.client_id,
            self.node.payer.settings.token_url,
            jwk or self.node.jwk,
            self.node.clock.now(),
            claims=changes,
            headers=headers,
        )

    def ask_token(self, scope="system/*.rs", **form):
        """The raw answer of the token endpoint."""
        sent = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": form.pop("assertion", None) or self.assertion(),
            **form,
        }
        return self.node.http.post("/oauth/token", data=sent)

    def token(self, scope="system/*.rs", **form):
        answer = self.ask_token(scope, **form)
        assert answer.status_code == 200, answer.text
        return answer.get_json()["access_token"]

    def match_body(self, name="unique", *, consent=None, policy=None, **parts):
        asked = self.node.request(name)
        ident = asked["patient"]["id"]
        told = asked["consent"]
        start, end = consent_period(told["period"], self.node.clock.now().date())
        made = hrex_consent(
            ident if told["patient"] == "member" else "somebody-else",
            discloser=RESPONDING if told["discloser"] == "responding" else OTHER,
            recipient=self.client.organization if told["recipient"] == "requesting" else OTHER,
            start=start,
            end=end,
            policy=policy or told["policy"],
            status=told["status"],
        )
        return member_match_parameters(
            parts.get("patient", asked["patient"]),
            parts.get("coverage", asked["coverage_to_match"]),
            {**made, **(consent or {})},
            coverage_to_link(ident, REQUESTING, "NEW-1"),
        )

    def send_match(self, body, **kwargs):
        return self.node.call(
            "POST", "Patient/$member-match", body, token=self.token(MEMBER_MATCH), **kwargs
        )

    def match(self, name="unique", **kwargs):
        """The id of the member whom the request finds."""
        answer = self.send_match(self.match_body(name, **kwargs))
        assert answer.status_code == 200, answer.text
        [_, member] = answer.get_json()["parameter"]
        return member["valueReference"]["reference"].rpartition("/")[2]

    def get(self, path, token=None, **kwargs):
        return self.node.call("GET", path, token=token or self.token(), **kwargs)

    def kick_off(self, path="Patient/$export", body=None, *, token=None, prefer="respond-async"):
        return self.node.call(
            "GET" if body is None else "POST",
            path,
            body,
            token=token or self.token(),
            headers={"Prefer": prefer} if prefer else {},
        )

    def export(self, path="Patient/$export", body=None, **kwargs):
        """A finished export: the manifest, and the lines of each type."""
        begun = self.kick_off(path, body, **kwargs)
        assert begun.status_code == 202, begun.text
        self.node.finish_exports()
        return self.exported(begun.headers["Content-Location"])

    def exported(self, status_url):
        done = self.get(self.path(status_url))
        assert done.status_code == 200, done.text
        manifest = done.get_json()
        lines = {}
        for listed in (*manifest["output"], *manifest["error"]):
            answer = self.get(self.path(listed["url"]))
            assert answer.status_code == 200
            assert answer.mimetype == "application/fhir+ndjson"
            found = answer.data.splitlines()
            assert len(found) == listed["count"]
            lines.setdefault(listed["type"], []).extend(found)
        return manifest, lines

    def path(self, url):
        return url.removeprefix(self.node.payer.settings.fhir_base.removesuffix("/fhir"))

    def everything(self, member, query=""):
        """Every page of `$everything`, as its entries."""
        path, entries = f"Patient/{member}/$everything{query}", []
        while path:
            answer = self.get(path)
            assert answer.status_code == 200, answer.text
            bundle = answer.get_json()
            entries += bundle.get("entry", [])
            links = {link["relation"]: link["url"] for link in bundle["link"]}
            path = self.path(links["next"]) if "next" in links else None
        return entries
