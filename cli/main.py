"""`payer-exchange`: one command a job, and the exit status that says how it went.

0 no unmet SHALL; 1 the target violates one; 2 wrong usage or settings; 3 nothing could be judged.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from ..reference.errors import PayerExchangeError, SettingsError
from ..reference.event_log import log_to

_COMMANDS = {
    "verify": "verify",
    "report": "reporting",
    "attestations": "reporting",
    "validate": "validate",
    "profiles": "validate",
    "exchange": "exchange",
    "simulate": "simulate",
    "load": "load",
    "population": "population",
    "requirements": "catalogues",
    "defects": "catalogues",
    "match-bench": "match_bench",
    "mtls-bundle": "mtls_bundle",
    "init": "setting_up",
    "settings": "setting_up",
    "admin": "admin",
    "answer-trigger": "answer_trigger",
}


class _Commands(click.Group):
    """The commands, each imported when it is asked for.

    A run of the judge starts this command line dozens of times (`answer-trigger`, `admin`), and
    what one of them needs takes a third of what all of them need.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return sorted(_COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - as click calls it
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        room = import_module(f".{_COMMANDS[cmd_name]}", __package__)
        command: click.Command = getattr(room, cmd_name.replace("-", "_"))
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="payer-exchange")
def cli() -> None:
    """Judge, simulate and load-test FHIR payer-to-payer exchange (PDex, HRex, CMS-0057-F)."""


def main() -> None:
    """Run the command line; ends the process with its exit status."""
    try:
        log_to(sys.stderr, os.environ.get("PAYER_EXCHANGE_LOG", "warning"))
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except PayerExchangeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(3)
