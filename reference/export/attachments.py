"""Addresses of attachments, made absolute where they leave (Bulk Data 3.0.0, bulk-out-15)."""

from __future__ import annotations

import re

DOCUMENTS = "DocumentReference"
# The one relative address that an attachment has: that of a Binary of this payer.
_RELATIVE = re.compile(rb'("url"\s*:\s*")(?=Binary/[A-Za-z0-9.-]{1,64}")')


def absolute_attachments(body: bytes, fhir_base: str) -> bytes:
    """The document with the Binary it names as a URL; all else byte by byte as it was stored."""
    if b'"Binary/' not in body:
        return body
    return _RELATIVE.sub(lambda found: found[1] + fhir_base.encode() + b"/", body)
