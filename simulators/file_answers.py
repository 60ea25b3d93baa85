"""A file of an export as an answer: whole, a part of it, or compressed on the way."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable, Iterator
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
        pieces = _compressed(stream) if packed else _whole_or_part(stream)
        answer = Response(pieces, mimetype=media.FHIR_NDJSON)
        answer.call_on_close(stream.close)
        answer.set_etag(f"{path.stem}{'-gzip' * packed}")
        if may_pack:
            answer.vary.add("Accept-Encoding")
        if packed:
            answer.content_encoding = "gzip"
        else:
            _conditional(answer, os.fstat(stream.fileno()).st_size)
    except Exception:
        stream.close()
        raise
    return answer


def _asks_for_a_part() -> bool:
    one = _ONE_RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    # A weak tag does not say that the bytes are the same (RFC 9110, 13.1.5).
    return bool(one) and not request.headers.get("If-Range", "").startswith("W/")


def _whole_or_part(stream: IO[bytes]) -> Iterable[bytes]:
    # In a wrapped file the beginning of a part is sought; a stream that is only read closes itself.
    return FileWrapper(stream, _CHUNK) if _asks_for_a_part() else _pieces(stream)


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _compressed(stream: IO[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_FASTEST, wbits=_GZIP)
    yield from map(packer.compress, _pieces(stream))
    yield packer.flush()


def _conditional(answer: Response, size: int) -> None:
    answer.content_length = size
    answer.accept_ranges = "bytes"
    if _asks_for_a_part():
        answer.make_conditional(request, accept_ranges=True, complete_length=size)
