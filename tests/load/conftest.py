"""Two payers that exchange: a responding one, and a requesting one that its members have joined."""

from __future__ import annotations

import json

import pytest
from payer_exchange.reference.settings import read_settings
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.requesting_assembly import (
    RequesterOptions,
    joiners,
    keep_joiners,
    registration_from,
    start_requester,
)
from payer_exchange.simulators.responder_options import ResponderOptions


def requester_file(requester, config, folder):
    """Let the members of a payer's truth table join, and write the file that leads there."""
    settings, payer = read_settings(config), requester.payer
    truth = json.loads(settings.path(settings.members.file).read_bytes())
    payer.register(registration_from(settings, truth["responding_payer"]))
    found = list(joiners(truth, payer.clock.now().date()))
    keep_joiners(payer, found)
    file = folder / "requester.json"
    told = {
        "fhir_base": requester.fhir_base,
        "operator_token": payer.settings.operator_token.reveal(),
        "admin_token": payer.settings.admin_token.reveal(),
        "members": {joiner.key: joiner.local_patient for joiner in found},
    }
    file.write_text(json.dumps(told), encoding="utf-8")
    return file


@pytest.fixture(scope="package")
def payers(tmp_path_factory):
    """The settings file of the responding payer, and the file of the requesting one."""
    folder = tmp_path_factory.mktemp("payers")
    config = folder / "payer-exchange.toml"
    responder = start_responder(ResponderOptions(members=17))
    responder.write_config(config)
    requester = start_requester(RequesterOptions())
    yield config, requester_file(requester, config, folder)
    requester.close()
    responder.close()
