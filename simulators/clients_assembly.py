"""The clients of a simulated responding payer: who they are, and the keys they are known by."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from ..reference.fhir.hrex import MEMBER_MATCH
from ..reference.fhir.pdex import BULK_MATCH_SCOPES
from ..reference.parties import PayerIdentity
from ..reference.registration.clients import Client
from ..reference.responding import RespondingPayer
from ..reference.secret import SecretKey
from ..reference.trust import keys
from .tls_assembly import CLIENT_URI

PAYER_IDENTIFIERS = "https://example.org/payer-id"
RESPONDING = PayerIdentity(
    PAYER_IDENTIFIERS, "RESPONDING-PAYER", "Responding Payer Health Plan (test)", "payer"
)
REQUESTING = PayerIdentity(
    PAYER_IDENTIFIERS, "REQUESTING-PAYER", "Requesting Payer Health Plan (test)", "new-payer"
)
OTHER_REQUESTING = PayerIdentity(
    PAYER_IDENTIFIERS, "OTHER-PAYER", "Other Payer Health Plan (test)", "other-payer"
)
CLIENT_ID = "requesting-payer"
# Another payer, registered as well as the first: whoever judges isolation plays it.
OTHER_CLIENT_ID = "requesting-payer-2"
# One whose keys are fetched from its URL: whoever judges that publishes them.
PUBLISHING_CLIENT_ID = "requesting-payer-3"
SCOPES = ("system/*.rs", "system/*.read", MEMBER_MATCH, *BULK_MATCH_SCOPES.values())


def register(
    payer: RespondingPayer, data_dir: Path, client_id: str, identity: PayerIdentity
) -> SecretKey:
    """Register a requesting payer with a key that lasts as long as the data folder."""
    kept = data_dir / key_file(client_id)
    if kept.is_file():
        key: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    else:
        key = keys.generate()
        write_secret(kept, json.dumps(key))
    # The certificate of the test authority is the first client's.
    known = payer.settings.mutual_tls and client_id == CLIENT_ID
    payer.clients.register(
        Client(
            client_id,
            identity.name,
            identity,
            SCOPES,
            keys.public_set(key),
            tls_uri=CLIENT_URI if known else "",
        )
    )
    payer.audit.record("registration", "client", "approved", client=client_id)
    return SecretKey(key)


def register_publishing(payer: RespondingPayer) -> str:
    """Register a client by the URL of its keys, at an address that nobody listens at yet."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    payer.clients.register(
        Client(PUBLISHING_CLIENT_ID, OTHER_REQUESTING.name, OTHER_REQUESTING, SCOPES,
               jwks_uri=f"http://{address}/jwks.json")
    )  # fmt: skip
    payer.audit.record("registration", "client", "approved", client=PUBLISHING_CLIENT_ID)
    return address


def write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def key_file(client_id: str) -> str:
    return f"{client_id}.jwk.json"
