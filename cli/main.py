"""`payer-exchange`: one command a job, and the exit status that says how it went.

0 no unmet SHALL; 1 the target violates one; 2 wrong usage or settings; 3 nothing could be judged.
"""

from __future__ import annotations

import os
import sys

import click

from ..reference.errors import PayerExchangeError, SettingsError
from ..reference.event_log import log_to
from .admin import admin
from .answer_trigger import answer_trigger
from .catalogues import defects, requirements
from .exchange import exchange
from .load import load
from .match_bench import match_bench
from .mtls_bundle import mtls_bundle
from .population import population
from .reporting import attestations, report
from .setting_up import init, settings
from .simulate import simulate
from .validate import profiles, validate
from .verify import verify

_COMMANDS = (
    verify,
    report,
    attestations,
    validate,
    profiles,
    exchange,
    simulate,
    load,
    population,
    requirements,
    defects,
    match_bench,
    mtls_bundle,
    init,
    settings,
    admin,
    answer_trigger,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="payer-exchange")
def cli() -> None:
    """Judge, simulate and load-test FHIR payer-to-payer exchange (PDex, HRex, CMS-0057-F)."""


for _command in _COMMANDS:
    cli.add_command(_command)


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
