"""Serving the responding payer by granian: more requests a second, for load and benchmarks.

Granian's workers are processes of their own, so the payer is filled first, closed, and opened again
by each worker from its data folder. Defects work as with the embedded server.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..reference.clock import SystemClock
from ..reference.errors import SettingsError
from ..reference.trust.mutual_tls import OPTIONAL, REQUIRED
from .assembly import FilledResponder, open_responder
from .responder_options import ResponderOptions

# How a worker is told where its payer lies.
FOLDER = "PAYER_EXCHANGE_WORKER"
_FILE = "worker.json"


def serve(
    options: ResponderOptions,
    data_dir: Path,
    *,
    workers: int = 1,
    ready: Callable[[FilledResponder], None],
    progress: Callable[[int], None] | None = None,
) -> None:
    """Fill the payer, call `ready` with it, then answer until interrupted.

    Raises SettingsError when granian is not installed.
    """
    try:
        from granian import Granian  # noqa: PLC0415 - an extra
        from granian.constants import Interfaces, SSLProtocols  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SettingsError(
            "granian is not installed. Install payer-exchange with its extra: "
            "pip install 'payer-exchange[granian]'."
        ) from error
    if options.client_certificates in (OPTIONAL, REQUIRED) or options.client_ca:
        raise SettingsError(
            "Client certificates need --server cheroot: granian tells none of them."
        )
    if options.faults:
        raise SettingsError("Faults need --server cheroot: granian closes no connection half-way.")
    options = replace(options, client_certificates="off")
    kit = options.kit(data_dir, SystemClock())
    scheme = "https" if kit else "http"
    root = options.public_url.rstrip("/") or f"{scheme}://{options.host}:{options.port}"
    found = open_responder(options, root, data_dir, progress=progress)
    found.tls = kit
    ready(found)
    _tell_workers(options, root, data_dir, found.payer.settings.admin_token.reveal())
    found.close()
    Granian(
        f"{__name__}:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=workers,
        blocking_threads=options.threads,
        log_enabled=False,
        ssl_cert=Path(kit.server.certificate) if kit else None,
        ssl_key=Path(kit.server.key) if kit else None,
        ssl_protocol_min=SSLProtocols.tls12,
    ).serve()


def application() -> Any:
    """The WSGI application of one worker."""
    folder = Path(os.environ[FOLDER])
    facts = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    given: dict[str, Any] = facts["options"]
    for name in ("load", "defects"):
        given[name] = tuple(Path(x) if name == "load" else x for x in given[name])
    for name in ("data_dir", "scope", "limits"):
        given[name] = Path(given[name]) if given[name] else None
    options = ResponderOptions(**given)
    found = open_responder(options, facts["root"], folder, admin_token=facts["admin_token"])
    return found.simulator.app


def _tell_workers(options: ResponderOptions, root: str, folder: Path, admin_token: str) -> None:
    file = folder / _FILE
    file.touch(mode=0o600)
    content = {
        "options": asdict(replace(options, data_dir=folder)),
        "root": root,
        "admin_token": admin_token,
    }
    file.write_text(json.dumps(content, default=str), encoding="utf-8")
    os.environ[FOLDER] = str(folder)
