"""A file of an export as an answer: whole, a part of it, or compressed on the way."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from flask import Response, request
from werkzeug.wsgi import FileWrapper

from ..reference.fhir import media

_CHUNK = 1 << 18
# One range of bytes. Of several, or in another unit, the whole is sent: nobody has to know them.
_ONE_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")
# zlib's words for a gzip header around the fastest compression.
_FASTEST, _GZIP = 1, 31


def file_answer(path: Path, *, may_pack: bool) -> Response:
    """The file as an answer to the request at hand (RFC 9110, 8.4 and 14).

    It has a strong ETag, for a file of an export never changes. With `may_pack` it is compressed
    for who takes gzip, and then not sent in parts. Raises HTTPException 416 for a part that the
    file does not have.
    """
    # Opened before the answer begins: a job that is deleted meanwhile is still sent whole.
    stream = path.open("rb")
    try:
        packed = may_pack and bool(request.accept_encodings["gzip"])
        answer = _packed(stream) if packed else _plain(stream)
        answer.set_etag(f"{path.stem}{'-gzip' * packed}")
        if may_pack:
            answer.vary.add("Accept-Encoding")
        if not packed:
            _conditional(answer, os.fstat(stream.fileno()).st_size)
    except Exception:
        stream.close()
        raise
    answer.call_on_close(stream.close)
    return answer


def _plain(stream: IO[bytes]) -> Response:
    size = str(os.fstat(stream.fileno()).st_size)
    headers = {"Content-Length": size, "Accept-Ranges": "bytes"}
    return Response(FileWrapper(stream, _CHUNK), mimetype=media.FHIR_NDJSON, headers=headers)


def _packed(stream: IO[bytes]) -> Response:
    headers = {"Content-Encoding": "gzip"}
    return Response(_compressed(stream), mimetype=media.FHIR_NDJSON, headers=headers)


def _compressed(stream: IO[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_FASTEST, wbits=_GZIP)
    while chunk := stream.read(_CHUNK):
        yield packer.compress(chunk)
    yield packer.flush()


def _conditional(answer: Response, size: int) -> None:
    one = _ONE_RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    # A weak tag does not say that the bytes are the same (RFC 9110, 13.1.5).
    weak = request.headers.get("If-Range", "").startswith("W/")
    if one and not weak:
        answer.make_conditional(request, accept_ranges=True, complete_length=size)
