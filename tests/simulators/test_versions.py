"""A requesting payer and responding payers of each version that has bulk exchange."""

from __future__ import annotations

import pytest
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.requesting_assembly import (
    RequesterOptions,
    joiners,
    keep_joiners,
    registration_of,
    start_requester,
)
from payer_exchange.simulators.responder_options import ResponderOptions


@pytest.mark.parametrize("method", ["davinci-data-export", "export"])
@pytest.mark.parametrize("version", ["2.1.0", "2.2.0"])
def test_members_move_whatever_the_version(version, method, tmp_path):
    old = start_responder(
        ResponderOptions(members=1, data_dir=tmp_path / "old", pdex_version=version)
    )
    new = start_requester(RequesterOptions(data_dir=tmp_path / "new"))
    try:
        registration = registration_of(old)
        registration["servers"][0]["bulk_export_method"] = method
        new.payer.register(registration)
        today = new.payer.clock.now().date()
        found = [j for j in joiners(old.truth(), today) if j.key in ("A", "H", "K")]
        keep_joiners(new.payer, found)
        new.payer.opt_ins.record_many([j.event for j in found])
        [batch] = new.payer.ask_what_is_due()
        new.payer.wait(batch, 60)
        told = new.payer.batch_summary(batch)
        assert told["outcomes"]["matched"] == 3
        assert told["stored"] == told["received"] > 300
        assert all(stored == kept for _, stored, kept in new.payer.batch_digests(batch))
    finally:
        new.close()
        old.close()
