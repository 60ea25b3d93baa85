"""Two payers for the tests of an exchange: one responder for all, a requester for each test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from payer_exchange.reference.asking import consent_period, coverage_to_link, hrex_consent
from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.fhir import json
from payer_exchange.reference.requesting import RequestingPayer, RequestingSettings
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.clients_assembly import CLIENT_ID, REQUESTING, RESPONDING
from payer_exchange.simulators.responder_options import ResponderOptions

START = datetime(2027, 1, 15, 12, tzinfo=UTC)
PATIENT_SYSTEM = "https://requesting-payer.example.org/member-id"
LOCAL = "local-a"
# Enough of a record for most tests, and quick to move.
FEW = (("_type", "Patient,Condition,Coverage,DocumentReference,Practitioner,Provenance"),)


@pytest.fixture(scope="session")
def clock():
    return MovableClock(START)


@pytest.fixture(scope="session")
def responder(clock, tmp_path_factory):
    running = start_responder(
        ResponderOptions(members=17, data_dir=tmp_path_factory.mktemp("responder")), clock=clock
    )
    # One thread for exports, so that whoever waits for it has waited for every export before.
    running.payer.jobs._pool = ThreadPoolExecutor(1)
    yield running
    running.close()


@pytest.fixture(scope="session")
def truth(responder):
    return responder.truth()


@pytest.fixture
def world(clock, responder, truth, tmp_path):
    made = World(clock, responder, truth, tmp_path)
    yield made
    made.close()


class World:
    """A requesting payer that knows the responder and has one local member."""

    def __init__(self, clock, responder, truth, folder):
        self.clock, self.responder, self.truth, self.folder = clock, responder, truth, folder
        self.traffic, self.events, self.waits = [], [], []
        self._made = []
        self.payer = self.requester()
        self.payer.register({"servers": [self.server()]})
        self.payer.keep_local(map(json.write, local_records()))

    def requester(self, **changes):
        """A requesting payer on this world's database: the same one again after a restart."""
        settings = RequestingSettings(
            "http://requester.test/fhir",
            REQUESTING,
            self.folder / "q",
            **{"patient_system": PATIENT_SYSTEM, "allow_loopback": True, **changes},
        )
        payer = RequestingPayer(
            settings,
            open_data_dir(self.folder / "q", "requesting-payer"),
            clock=self.clock,
            sleep=self._sleep,
            on_phase=self.events.append,
            on_exchange=self.traffic.append,
        )
        self._made.append(payer)
        return payer

    def _sleep(self, seconds):
        """No time is spent asleep: the responder's exports are done, and the clock is moved."""
        self.waits.append(seconds)
        self.clock.advance(seconds)
        self.responder.payer.jobs._pool.submit(int).result()

    @property
    def issuer(self):
        return self.responder.fhir_base.removesuffix("/fhir")

    def server(self, **changes):
        return {
            "name": "p2p-server",
            "issuer": self.issuer,
            "fhir_base": self.responder.fhir_base,
            "client_id": CLIENT_ID,
            "key": self.responder.client_key.reveal(),
            "organization": {
                "system": RESPONDING.system,
                "value": RESPONDING.value,
                "name": RESPONDING.name,
            },
            **changes,
        }

    def match_parts(self, name="unique", *, policy=None, period="current", **changes):
        asked = next(r for r in self.truth["requests"] if r["name"] == name)
        member = asked["patient"]["id"]
        start, end = consent_period(period, self.clock.now().date())
        consent = hrex_consent(
            member,
            discloser=RESPONDING,
            recipient=REQUESTING,
            start=start,
            end=end,
            policy=policy or asked["consent"]["policy"],
        )
        return {
            "MemberPatient": asked["patient"],
            "CoverageToMatch": asked["coverage_to_match"],
            "CoverageToLink": coverage_to_link(member, REQUESTING, "NEW-1"),
            "Consent": consent,
            **changes,
        }

    def whole(self):
        """The parameters of an exchange of the whole record."""
        return self.parameters(export=())

    def parameters(self, parts=None, *, local=LOCAL, issuer=None, export=FEW):
        parts = self.match_parts() if parts is None else parts
        found = [
            {"name": "localPatient", "valueReference": {"reference": f"Patient/{local}"}},
            {"name": "sourceIssuerUrl", "valueString": issuer or self.issuer},
            {
                "name": "memberMatch",
                "part": [{"name": n, "resource": r} for n, r in parts.items() if r is not None],
            },
        ]
        if export:
            found.append(
                {"name": "export", "part": [{"name": n, "valueString": v} for n, v in export]}
            )
        return {"resourceType": "Parameters", "parameter": found}

    def exchange(self, parameters=None, payer=None):
        """The Task of a whole exchange, once it has ended."""
        payer = payer or self.payer
        task = payer.invoke_export(parameters or self.parameters())
        return payer.wait(task["id"], 20)

    def note(self, task):
        return task.notes[-1]["text"]

    def member(self, key="A"):
        return next(m for m in self.truth["members"] if m["key"] == key)

    @contextmanager
    def between(self, change):
        """A layer before the responder: `change(app, environ, start_response)`."""
        app = self.responder.simulator.app
        inner = app.wsgi_app
        app.wsgi_app = lambda environ, start: change(inner, environ, start)
        try:
            yield
        finally:
            app.wsgi_app = inner

    def close(self):
        for payer in self._made:
            payer.close()


def local_records():
    """What the new plan knows of its member before any exchange."""
    patient = {
        "resourceType": "Patient",
        "id": LOCAL,
        "identifier": [{"system": PATIENT_SYSTEM, "value": "NEW-1"}],
        "name": [{"family": "Alderwick", "given": ["Ada", "Rose"]}],
        "gender": "female",
        "birthDate": "1981-09-28",
    }
    claim = {
        "resourceType": "Observation",
        "id": "local-observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{LOCAL}"},
    }
    return [patient, claim]
