"""The key set that a requesting payer publishes, fetched as a responding payer would do it."""

from __future__ import annotations

import ssl
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import certifi

from ...reference.fhir import media
from ...reference.http import Exchange

_LIMIT_S = 10.0
_MOST = 1_000_000


def fetch(url: str, authorities: Path | None) -> Exchange:
    """The answer to a GET without authentication; status 0 and a note when there is none.

    Certificates are checked, against the public authorities and those of the played payer.
    """
    found = Exchange("GET", url, {"Accept": media.JSON}, b"", time.time())
    if urlsplit(url).scheme not in ("http", "https"):
        found.note = "The address of the key set is no web address."
        return found
    context = ssl.create_default_context(cafile=certifi.where())
    if authorities is not None:
        context.load_verify_locations(authorities)
    asked = urllib.request.Request(url, headers=found.request_headers)  # noqa: S310 - just checked
    try:
        with urllib.request.urlopen(asked, timeout=_LIMIT_S, context=context) as answer:  # noqa: S310
            found.status, found.headers = answer.status, dict(answer.headers)
            found.body = answer.read(_MOST)
    except HTTPError as error:
        found.status, found.headers = error.code, dict(error.headers)
    except OSError as error:
        found.note = f"The key set cannot be fetched ({type(error).__name__})."
    return found
