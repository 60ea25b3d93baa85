"""`payer-exchange admin`: changes at a simulated payer, for hooks and by hand."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from ..reference.egress import EgressRules
from ..reference.errors import SettingsError
from ..reference.http import HttpClient
from ..reference.tls import Tls


@click.group()
@click.option("--url", required=True, help="Where the simulated payer answers, without /fhir.")
@click.option("--token", envvar="PAYER_EXCHANGE_ADMIN_TOKEN", required=True,
              help="The admin token it printed when it started.")  # fmt: skip
@click.option("--authorities", default="", help="A PEM file of the authorities to trust for https.")
@click.pass_context
def admin(context: click.Context, url: str, token: str, authorities: str) -> None:
    """Change a simulated payer: withdraw a consent, suspend a client, register one."""
    context.obj = (url.rstrip("/"), token, authorities)


@admin.command()
@click.argument("member", default="")
@click.pass_obj
def withdraw(target: tuple[str, str, str], member: str) -> None:
    """Withdraw the consent of a member: the Patient id given, or the one in MEMBER_ID."""
    ident = member or os.environ.get("MEMBER_ID", "")
    if not ident:
        raise SettingsError("Name the member's Patient id, or set MEMBER_ID.")
    click.echo(_send(target, "POST", f"/admin/members/{ident}/withdraw"))


@admin.command()
@click.argument("reference", default="")
@click.pass_obj
def delete(target: tuple[str, str, str], reference: str) -> None:
    """Delete a resource: the Type/id given, or the one in RESOURCE."""
    wanted = reference or os.environ.get("RESOURCE", "")
    if not wanted:
        raise SettingsError("Name the resource as Type/id, or set RESOURCE.")
    _send(target, "DELETE", f"/admin/resources/{wanted}")


@admin.command()
@click.argument("client_id")
@click.argument("state", type=click.Choice(["pending", "approved", "suspended"]))
@click.pass_obj
def client(target: tuple[str, str, str], client_id: str, state: str) -> None:
    """Put a client into a vetting state."""
    _send(target, "POST", f"/admin/clients/{client_id}/{state}")


@admin.command()
@click.argument("file", type=click.File("rb"))
@click.pass_obj
def register(target: tuple[str, str, str], file: Any) -> None:
    """Register a file: its clients at a responding, its servers at a requesting payer."""
    try:
        document = json.load(file)
    except ValueError as error:
        raise SettingsError("The registration file is not JSON.") from error
    for kind in ("clients", "servers"):
        for entry in document.get(kind, []):
            click.echo(_send(target, "POST", f"/admin/{kind}", json.dumps(entry).encode()))


@admin.command()
@click.argument("reference")
@click.option("--policy", type=click.Choice(["regular", "sensitive"]), default="regular")
@click.pass_obj
def why(target: tuple[str, str, str], reference: str, policy: str) -> None:
    """Say why a resource (Type/id) does not leave under a consent policy."""
    found = json.loads(_send(target, "GET", f"/admin/withheld/{reference}?policy={policy}"))
    click.echo(found["reason"] or "It leaves.")


def _send(target: tuple[str, str, str], method: str, path: str, body: bytes = b"") -> str:
    url, token, authorities = target
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    http = HttpClient(EgressRules(typed=url), tls=Tls(authorities))
    exchange = http.request(method, url + path, headers=headers, body=body)
    if exchange.status >= 400:
        raise SettingsError(f"The payer refused this with status {exchange.status}.")
    return exchange.body.decode()
