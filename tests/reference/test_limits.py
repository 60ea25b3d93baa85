"""The limits of a responding payer in a file."""

from __future__ import annotations

import jwt
import pytest
from payer_exchange.reference.errors import BadRequest, SettingsError
from payer_exchange.reference.limits import Limits, read_limits
from payer_exchange.reference.trust.signing import ASSERTION_TYPE
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.responder_options import ResponderOptions

# In the client's own name, and signed by nobody.
ASSERTION = jwt.encode({"iss": "requesting-payer", "sub": "requesting-payer"}, "x" * 48, "HS384")


def test_a_file_changes_the_limits_it_names(tmp_path):
    file = tmp_path / "limits.toml"
    file.write_text("failed_authentications = 3\nrunning_jobs = 0\n")
    assert read_limits(file) == Limits(failed_authentications=3, running_jobs=0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("running_job = 3", "Did you mean running_jobs"),
        ("running_jobs = -1", "running_jobs must be a whole number"),
        ("running_jobs = true", "running_jobs must be a whole number"),
        ('tries_a_day = "many"', "tries_a_day must be a whole number"),
        ("running_jobs", "is not TOML"),
    ],
)
def test_a_wrong_limit_is_named(tmp_path, text, words):
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=words):
        read_limits(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_limits(tmp_path / "limits.toml")


def test_a_simulated_payer_has_the_limits_of_its_file(tmp_path):
    file = tmp_path / "limits.toml"
    file.write_text("failed_authentications = 2\nrunning_jobs = 1\n")
    running = start_responder(ResponderOptions(members=1, limits=file))
    try:
        statuses = [bad_token(running) for _ in range(3)]
        running.payer.jobs.running = lambda _client: 1
        with pytest.raises(BadRequest) as refused:
            running.payer.exports.check_room("requesting-payer")
    finally:
        running.close()
    assert 429 not in statuses[:2]
    assert statuses[2] == refused.value.status == 429


def bad_token(running):
    form = {"grant_type": "client_credentials", "scope": "system/*.rs",
            "client_assertion_type": ASSERTION_TYPE, "client_assertion": ASSERTION}  # fmt: skip
    path = running.payer.settings.token_url.removeprefix(running.server.url)
    return running.simulator.app.test_client().post(path, data=form).status_code
