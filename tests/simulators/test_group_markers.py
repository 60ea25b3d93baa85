"""No Group's export holds a foreign token, whichever members a Group is of."""

from __future__ import annotations

import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from payer_exchange.reference.consent import ConsentDecision
from payer_exchange.reference.exporting import Asked
from payer_exchange.reference.fhir.pdex import MATCH
from payer_exchange.reference.matches import NewMatch
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.responder_options import ResponderOptions

MEMBERS, GROUPS, AT_ONCE = 60, 1000, 15
# Every resource of a member carries the member's own id: in its id, or in what it refers to.
MARKER = re.compile(rb"\bm\d{7}\b")
SHARED = {"Location", "Organization", "Practitioner", "PractitionerRole"}
CONSENT = ConsentDecision(True, "sensitive", "2000-01-01", "2999-12-31")


@pytest.fixture(scope="module")
def payer(tmp_path_factory):
    running = start_responder(
        ResponderOptions(members=MEMBERS, data_dir=tmp_path_factory.mktemp("markers"))
    )
    # One thread for exports, so that whoever waits for it has waited for every export before.
    running.payer.jobs._pool = ThreadPoolExecutor(1)
    yield running.payer
    running.close()


@pytest.fixture(scope="module")
def grant(payer):
    """A client that has matched everybody, so that only the Group itself keeps members apart."""
    found = [NewMatch(f"m{n:07}", ("s", f"{n}"), CONSENT) for n in range(MEMBERS)]
    payer.matches.keep_many("asker", found, payer.clock.now())
    return payer.authorization.tokens.find(
        payer.authorization.tokens.issue("asker", ["system/*.rs"], payer.clock.now(), None),
        payer.clock.now(),
    )


def test_a_thousand_random_groups_hold_their_own_members_and_nobody_else(payer, grant):
    draw = random.Random(20270101)
    groups = {f"{n:032x}": draw.sample(range(MEMBERS), draw.choice((0, 1, 1, 2, 3, 5)))
              for n in range(GROUPS)}  # fmt: skip
    for ident, members in groups.items():
        head = {"id": ident, "code": {"coding": [{"code": MATCH}]}}
        ids = [f"m{n:07}" for n in members]
        payer.groups.keep("asker", head, b"{}", ids, payer.clock.now())
    wrong, seen = [], 0
    waiting = list(groups)
    while waiting:
        # So many jobs may wait at a time for one client.
        some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        jobs = {ident: payer.kick_off(grant, "x", [], asked=Asked(group=ident)) for ident in some}
        payer.jobs._pool.submit(int).result(timeout=60)
        for ident, job in jobs.items():
            own = {b"m%07d" % n for n in groups[ident]}
            found = markers(payer, payer.jobs.find(job.id, "asker"))
            seen += len(found)
            if found != own:
                wrong.append((ident, sorted(found ^ own)))
            payer.jobs.remove(job)
    assert wrong == []
    assert seen == sum(map(len, groups.values()))


def markers(payer, job):
    """The tokens in a finished export; every line of a member's must carry one."""
    found = set()
    for listed in job.result["files"]:
        for line in payer.jobs.file(job, listed["name"]).read_bytes().splitlines():
            tokens = set(MARKER.findall(line))
            assert tokens or listed["type"] in SHARED, listed["type"]
            found |= tokens
    return found
