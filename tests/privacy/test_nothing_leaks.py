"""Nothing of a member and no secret stands outside the stores, whatever the product writes.

Everything runs at once, as users run it: an exchange of forty members, a whole conformance run of a
payer with defects, and two payers that are asked for what they refuse. What they print, log, report
and answer is searched. The stores are left out: databases, archives, exports, truth tables, key
files and settings with tokens in them, which hold members and secrets on purpose.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from payer_exchange.reference.asking import (
    consent_period,
    coverage_to_link,
    hrex_consent,
    member_match_parameters,
)
from payer_exchange.reference.credentials import credentials
from payer_exchange.reference.egress import EgressRules
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH
from payer_exchange.reference.http import HttpClient
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.population import Population
from payer_exchange.reference.settings import read_settings
from payer_exchange.reference.target import Target

from .wanted import Terms

MEMBERS = 40
# They make a judge say what it found: a wrong record, a wrong status, a name in an error.
DEFECTS = ("R23-404", "R30")
_CONFIG = "old/payer-exchange.toml"
_SPY = Path(__file__).with_name("spy")
REFUSED = ("unknown", "wrong-card", "twins", "consent-expired-a", "consent-wrong-recipient-b")


class Runs:
    """Commands of the product in one folder: what they keep, and what they tell."""

    def __init__(self, folder: Path) -> None:
        self.stores, self.told = folder / "stores", folder / "told"
        for made in (self.stores, self.told):
            made.mkdir()
        self.secrets = self.stores / "secrets"
        paths = [str(_SPY), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths),
                            "SECRETS_MADE": str(self.secrets),
                            "PAYER_EXCHANGE_LOG": "debug"}  # fmt: skip

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A command that writes what it tells beside the others' words."""
        with (
            (self.told / f"{name}.stdout").open("wb") as out,
            (self.told / f"{name}.stderr").open("wb") as err,
        ):
            return subprocess.Popen(
                [sys.executable, "-m", "payer_exchange.cli", *arguments],
                cwd=self.stores, env=self.environment, stdout=out, stderr=err,
            )  # fmt: skip

    def run(self, name: str, *arguments: str) -> int:
        return self.start(name, *arguments).wait(120)

    def keep(self, name: str, answer: Any) -> None:
        """Count an answer, with its headers, among what is told."""
        lines = [f"{header}: {value}" for header, value in answer.headers.items()]
        text = "\n".join(lines) + "\n\n" + answer.body.decode()
        (self.told / f"{name}.answer").write_text(text, encoding="utf-8")

    def note(self, secret: str) -> None:
        """Count what this process sent among the secrets."""
        with self.secrets.open("a", encoding="ascii") as made:
            made.write(f"{secret}\n")

    def answering(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A payer that answers, or an AssertionError with its last words."""
        process = self.start(name, "simulate", *arguments)
        spoken = self.told / f"{name}.stderr"
        pause = threading.Event()
        while b"Ctrl-C" not in spoken.read_bytes():  # its own end bounds the loop
            assert process.poll() is None, spoken.read_text()
            pause.wait(0.05)
        return process


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """All of it, done once for both tests."""
    found = Runs(tmp_path_factory.mktemp("run"))
    defects = [word for defect in DEFECTS for word in ("--defect", defect)]
    verify = found.start("verify", "verify", "responding-payer", "--members", "1",
                         "--report-dir", str(found.told / "report"), *defects)  # fmt: skip
    try:
        assert found.run("exchange", "exchange", "--members", str(MEMBERS),
                         "--data-dir", "exchange") == 0  # fmt: skip
        assert found.run("verify-new", "verify", "requesting-payer", "--tags", "smart-jwt-07",
                         "--report-dir", str(found.told / "report-new")) == 0  # fmt: skip
        with_payers(found)
        assert verify.wait(180) == 1, (found.told / "verify.stderr").read_text()
    finally:
        verify.kill()
        verify.wait()
    return found


def with_payers(runs: Runs) -> None:
    """Two payers in processes of their own, asked for what they refuse and for their records."""
    at = ("--port", "0", "--data-dir")
    old = runs.answering("old", "responding-payer", *at, "old", "--members", str(MEMBERS),
                         "--config-out", _CONFIG)  # fmt: skip
    new = runs.answering("new", "requesting-payer", *at, "new", "--config", _CONFIG,
                         "--config-out", "new/payer.json")  # fmt: skip
    try:
        ask_in_vain(runs)
        exchange_in_vain(runs)
        admin(runs)
    finally:
        for process in (old, new):
            process.send_signal(signal.SIGINT)
            process.wait(30)


def ask_in_vain(runs: Runs) -> None:
    """Single exchanges at the responding payer that end in a refusal, and a refused token."""
    settings = read_settings(runs.stores / _CONFIG)
    base = settings.target.fhir_base
    target = Target(base, HttpClient(EgressRules(typed=base)), credentials(settings))
    token = target.token(MEMBER_MATCH)
    runs.note(token.value.reveal())
    for asked in truth(runs)["requests"]:
        if asked["name"] in REFUSED:
            answer = target.post("Patient/$member-match", match_body(runs, asked), token)
            assert answer.status == 422, asked["name"]
            runs.keep(asked["name"], answer)
    assertion = target.assertion(claims={"sub": "somebody-else"})
    runs.note(assertion)
    form = {
        "grant_type": "client_credentials",
        "scope": MEMBER_MATCH,
        "client_assertion": assertion,
    }
    runs.keep("token-refused", target.request_token(form))
    member = truth(runs)["members"][0]["patient_id"]
    runs.keep("not-matched", target.get(f"Patient/{member}", target.token("system/*.rs")))
    runs.keep("no-token", target.get(f"Patient/{member}/$everything"))


def match_body(runs: Runs, asked: Any) -> dict[str, Any]:
    """A request of the truth table as a requesting payer submits it."""
    old, new = (
        PayerIdentity(**truth(runs)[f"{role}_payer"]["identifier"])
        for role in ("responding", "requesting")
    )
    start, end = consent_period(asked["consent"]["period"], datetime.now(UTC).date())
    member = asked["patient"]["id"]
    consent = hrex_consent(
        member,
        discloser=old,
        recipient=new if asked["consent"]["recipient"] == "requesting" else old,
        start=start,
        end=end,
    )
    link = coverage_to_link(member, new, "NEW-1")
    return member_match_parameters(asked["patient"], asked["coverage_to_match"], consent, link)


def exchange_in_vain(runs: Runs) -> None:
    """An exchange that the requesting payer starts and that finds nobody; then what it records."""
    new = json.loads((runs.stores / "new/payer.json").read_text())
    root = new["fhir_base"].removesuffix("/fhir")
    http = HttpClient(EgressRules(typed=root))
    headers = {"Authorization": f"Bearer {new['admin_token']}", "Content-Type": "application/json"}
    responder = truth(runs)["responding_payer"]["identifier"]
    today = datetime.now(UTC).date()
    opt_in = {
        "local_patient": "member-1",
        "start": today.isoformat(),
        "end": f"{today.year + 1}-01-01",
        "other_payer": {**responder, "member_id": "NOBODY-000001"},
    }
    body = json.dumps(opt_in).encode()
    started = http.request("POST", f"{root}/admin/opt-ins", headers=headers, body=body)
    assert started.status == 201, started.body
    task = json.loads(started.body)["task"]
    for _ in range(2000):  # each is a request, so that the wait is bounded without a clock
        found = http.request("GET", f"{root}/fhir/{task}", headers=headers)
        if json.loads(found.body)["status"] == "failed":
            break
    runs.keep("task", found)
    for path in ("duties", "audit", "AuditEvent", "work-list", "servers", "batches/none"):
        answer = http.request("GET", f"{root}/admin/{path}", headers=headers)
        runs.keep(f"records-new-{path.replace('/', '-')}", answer)


def admin(runs: Runs) -> None:
    """The admin command, and what the responding payer tells of its records."""
    settings = read_settings(runs.stores / _CONFIG)
    words = settings.hooks.withdraw_consent.split()
    token, root = words[words.index("--token") + 1], words[words.index("--url") + 1]
    at = ("admin", "--url", root, "--token", token)
    assert runs.run("withdraw", *at, "withdraw", "m0000001") == 0
    assert runs.run("why", *at, "why", "Patient/m0000000") == 0
    assert runs.run("why-not", *at, "why", "Patient/nobody") == 2
    assert runs.run("suspend", *at, "client", "requesting-payer-2", "suspended") == 0
    http = HttpClient(EgressRules(typed=root))
    for path in ("duties", "audit", "AuditEvent", "clients"):
        headers = {"Authorization": f"Bearer {token}"}
        runs.keep(f"records-old-{path}",
                  http.request("GET", f"{root}/admin/{path}", headers=headers))  # fmt: skip


def truth(runs: Runs) -> Any:
    return json.loads((runs.stores / "old/members.json").read_text())


@pytest.fixture(scope="module")
def terms(runs: Runs) -> Terms:
    """All that the runs knew; the population is a function of its seed, size and day."""
    found = Terms(secrets={s for s in runs.secrets.read_text().split() if len(s) > 16})
    for kept in runs.stores.rglob("population.json"):
        facts = json.loads(kept.read_text())
        found.of(
            Population(
                facts["seed"], facts["members"], datetime.fromisoformat(facts["as_of"]).date()
            )
        )
    return found


def test_nothing_of_a_member_and_no_secret_is_outside_the_stores(runs: Runs, terms: Terms) -> None:
    artefacts = [path for path in runs.told.rglob("*") if path.is_file()]
    assert {"results.json", "results.xml", "report.html"} <= {path.name for path in artefacts}
    assert len([path for path in artefacts if path.suffix == ".har"]) == 2
    hits = {
        str(path.relative_to(runs.told)): found
        for path in artefacts
        # A payer's own records name its members by the Patient's id, for its admin alone.
        if (found := terms.found(path.read_text(), ids=not path.name.startswith("records-")))
    }
    assert hits == {}


def test_the_search_finds_what_is_planted(runs: Runs, terms: Terms) -> None:
    """As JSON, a URL, a page, a sentence or a log line would show it."""
    person = truth(runs)["members"][0]["patient"]
    name, number = person["name"][0], person["identifier"][0]["value"]
    [line] = person["address"][0]["line"]
    secret = min(terms.secrets)
    for planted in (
        json.dumps(person["name"]),
        f"{name['given'][0]} {name['family']} was not found",
        f"{name['family']}, {name['given'][0]}",
        f"GET /fhir/Patient?identifier=https%3A%2F%2Fx%7C{number}",
        f"<td>{number}</td>",
        f'{{"event": "{person["id"]}-cov-1"}}',
        f"born {person['birthDate']}",
        f"at {line}, upstairs",
        line.replace(" ", "+"),
        f"Bearer {secret}.",
        "Robin Probe12ab34",
        "card P012345678",
    ):
        assert terms.found(f"before {planted} after"), planted
    assert terms.found(f"{name['given'][0]} will find nobody in March, order 1{number}7") == []
    assert len(terms.words) > MEMBERS
    assert len(terms.secrets) > MEMBERS
