"""`payer-exchange answer-trigger`: one exchange of the simulated requesting payer, as it is told.

What `verify requesting-payer --trigger` calls when no command of the user's own is given; and an
example of one (docs/requesting-payer-protocol.md).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import click

from ..reference.errors import SettingsError
from ..simulators.requesting_defects import REQUESTING_DEFECTS, break_requester
from ..simulators.triggered import triggered

_NEEDED = ("FHIR_BASE", "CLIENT_ID", "KEY_FILE", "MEMBER_FILE")
_FILES = ("TLS_AUTHORITIES", "TLS_CERTIFICATE", "TLS_KEY", "UDAP_CERTIFICATE", "UDAP_KEY",
          "UDAP_ANCHORS", "UDAP_REVOCATION_LIST", "UDAP_CLIENT_URI", "UDAP_COMMUNITY",
          "KEY_SET_CERTIFICATE", "KEY_SET_KEY")  # fmt: skip
_MORE = {"FILE_ORIGINS": "", "OPERATION": "member-match", "ACTION": "exchange", "DAY": "",
         "PDEX_VERSION": "2.2.0", "WORK_FOLDER": "", "AUTH": "private_key_jwt",
         **dict.fromkeys(_FILES, "")}  # fmt: skip


@click.command("answer-trigger")
@click.option("--defect", "defects", multiple=True, type=click.Choice(sorted(REQUESTING_DEFECTS)),
              help="A rule of requesting payers to break.")  # fmt: skip
def answer_trigger(defects: tuple[str, ...]) -> None:
    """Make one exchange with the payer that the environment names, and tell how it ended."""
    for ident in defects:
        break_requester(ident)
    told = _environment()
    kept = told["WORK_FOLDER"]
    place = nullcontext(kept) if kept else tempfile.TemporaryDirectory(prefix="payer-exchange-")
    with place as folder, triggered(told, Path(folder)) as asked:
        outcome = asked.run()
    click.echo(json.dumps(outcome))
    sys.exit(0 if outcome["outcome"] == "completed" else 1)


def _environment() -> dict[str, str]:
    found = {name: os.environ.get(f"PAYER_EXCHANGE_{name}", "") for name in (*_NEEDED, *_MORE)}
    missing = [f"PAYER_EXCHANGE_{name}" for name in _NEEDED if not found[name]]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} is not set: payer-exchange verify requesting-payer sets it."
        )
    return {name: value or _MORE.get(name, "") for name, value in found.items()}


if __name__ == "__main__":
    answer_trigger()
