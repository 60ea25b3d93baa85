"""The files of an export: in several streams, compressed or not, broken off and resumed, compared.

A file that is resumed is asked for without compression: a range counts the bytes of what is sent,
and a server may pack the same file in another way the next time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from threading import Event
from time import perf_counter
from typing import Any

from ..reference.errors import ExportFailed
from ..reference.fhir.ndjson import count_lines, lines_of
from ..reference.http import Exchange
from ..reference.target import AccessToken, Target
from .delivery import Delivery, since
from .meter import Meter
from .permission import Permission
from .scenario import Downloads


@dataclass(frozen=True, slots=True)
class _Part:
    """One download that is to be made."""

    entry: Mapping[str, Any]
    token: AccessToken | None
    sampled: bool
    broken_off: bool


class _BegunAnewError(Exception):
    """The rest of a file was asked for, and the server sends all of it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self.chunks = chunks


class _File:
    """One file on its way: its lines are counted, its bytes hashed where that is asked for."""

    def __init__(
        self, *, sampled: bool, keeps: bool, hashed: bool, first_byte: Callable[[], None]
    ) -> None:
        self.delivery = Delivery(sampled, kept=[] if keeps else None)
        self.digest = sha256() if hashed else None
        self._first_byte = first_byte

    def read(self, chunks: Iterable[bytes]) -> None:
        """Take the chunks to their end; where no line is looked at they are only counted."""
        if not self.delivery.sampled and self.delivery.kept is None:
            self.delivery.resources += count_lines(self._seen(chunks))
            return
        for line in lines_of(self._seen(chunks)):
            self.delivery.take(line)

    def _seen(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if not self.delivery.octets:
                self._first_byte()
            self.delivery.octets += len(chunk)
            if self.digest:
                self.digest.update(chunk)
            yield chunk


class _Stream:
    """The requests of one download, and what they brought over the wire."""

    def __init__(self, target: Target, url: str, part: _Part, encoding: str) -> None:
        self._target, self._url, self._token = target, url, part.token
        self._encoding = "identity" if part.broken_off else encoding
        self._exchanges: list[Exchange] = []

    @property
    def wire_octets(self) -> int | None:
        """The bytes of all bodies as they were sent; None where those of one cannot be told."""
        found = [e.wire_octets for e in self._exchanges if e.wire_octets is not None]
        return sum(found) if len(found) == len(self._exchanges) else None

    def whole(self, **more: str) -> Iterator[bytes]:
        """The bytes of an answer to a request with these headers."""
        headers = {"Accept-Encoding": self._encoding, **more}
        exchange, chunks = self._target.download(self._url, self._token, headers=headers)
        self._exchanges.append(exchange)
        return chunks

    def broken_off(self) -> Iterator[bytes]:
        """The first half of the file, and the rest by a request of its own.

        Raises _BegunAnewError when the server sends the file whole again, which it may.
        """
        chunks = self.whole()
        first = self._exchanges[0]
        had, half = 0, int(first.header("Content-Length") or 0) // 2
        for chunk in chunks:
            half = half or len(chunk) // 2
            kept = chunk[: half - had]
            had += len(kept)
            yield kept
            if had >= half:
                break
        chunks.close()  # type: ignore[attr-defined]  # a generator: the connection goes with it
        yield from self._rest(had, first.header("ETag"))

    def _rest(self, had: int, tag: str) -> Iterator[bytes]:
        # A weak tag does not say that the bytes are the same, and may not stand in If-Range.
        same = {"If-Range": tag} if tag.startswith('"') else {}
        chunks = self.whole(Range=f"bytes={had}-", **same)
        last = self._exchanges[-1]
        if last.status != 206:
            raise _BegunAnewError(chunks)
        if not last.header("Content-Range").startswith(f"bytes {had}-"):
            raise ExportFailed("A file is resumed at another byte than was asked for.", status=206)
        yield from chunks


class Downloader:
    """Downloads the files of a manifest, and tells a meter of each."""

    def __init__(
        self, target: Target, meter: Meter, may_go: Permission, terms: Downloads | None = None
    ) -> None:
        self._target, self._meter, self._may_go = target, meter, may_go
        self._terms, self._repeated = terms or Downloads(), itertools.count()

    def all(
        self,
        manifest: Mapping[str, Any],
        token: AccessToken | None,
        *,
        sampled: bool,
        kept: list[bytes] | None = None,
    ) -> Delivery:
        """What all files brought, each as often as it is downloaded; `kept` receives the lines.

        Raises TargetError when a file does not arrive.
        """
        whole, started = Delivery(sampled, kept=kept), perf_counter()
        digests: dict[str, str] = {}
        parts = list(self._parts(manifest, token, sampled=sampled))
        with self._meter.step("file", 200, 206):
            for found in self._streamed(
                parts, lambda part, goes_on: self._file(part, digests, goes_on, kept is not None)
            ):
                whole.add(found)
        if parts:
            octets, lines = whole.octets, whole.resources
            self._meter.measure("downloads", since(started), octets=octets, resources=lines)
        return whole

    def _parts(
        self, manifest: Mapping[str, Any], token: AccessToken | None, *, sampled: bool
    ) -> Iterator[_Part]:
        for turn in range(self._terms.repeat):
            for entry in manifest.get("output", []):
                # The first of each file goes undisturbed; its digest is what the others must have.
                broken_off = turn > 0 and self._is_broken_off(next(self._repeated))
                yield _Part(entry, token, sampled and not turn, broken_off)

    def _is_broken_off(self, number: int) -> bool:
        return int((number + 1) * self._terms.resume) > int(number * self._terms.resume)

    def _streamed(
        self, parts: list[_Part], work: Callable[[_Part, Callable[[], None]], Delivery]
    ) -> Iterator[Delivery]:
        """What each download brought; the others end when one fails or the journey is stopped."""
        if self._terms.streams == 1:
            yield from (work(part, lambda: None) for part in parts)
            return
        over = Event()

        def goes_on() -> None:
            if over.is_set():
                raise ExportFailed("The download was stopped.")

        pool = ThreadPoolExecutor(self._terms.streams)
        try:
            yield from pool.map(lambda part: work(part, goes_on), parts)
        finally:
            over.set()
            pool.shutdown(cancel_futures=True)

    def _file(
        self, part: _Part, digests: dict[str, str], goes_on: Callable[[], None], keeps: bool
    ) -> Delivery:
        url = self._target.absolute(str(part.entry["url"]))
        self._may_go.check(url)
        stream = _Stream(self._target, url, part, "gzip" if self._terms.gzip else "identity")
        started = perf_counter()

        def new() -> _File:
            first_byte = lambda: self._meter.measure("time-to-first-byte", since(started))  # noqa: E731
            hashed = self._terms.repeat > 1
            return _File(sampled=part.sampled, keeps=keeps, hashed=hashed, first_byte=first_byte)

        file = self._read(new, stream, part, goes_on)
        taken, found = since(started), file.delivery
        self._meter.measure("download", taken, octets=found.octets, resources=found.resources)
        if stream.wire_octets is not None:
            self._meter.measure("wire", taken, octets=stream.wire_octets)
        self._check(part, file, digests)
        return found

    def _read(
        self, new: Callable[[], _File], stream: _Stream, part: _Part, goes_on: Callable[[], None]
    ) -> _File:
        file, started = new(), perf_counter()
        if not part.broken_off:
            file.read(_heeding(stream.whole(), goes_on))
            return file
        try:
            file.read(_heeding(stream.broken_off(), goes_on))
        except _BegunAnewError as anew:
            lost, file = file.delivery.octets, new()
            file.read(_heeding(anew.chunks, goes_on))
            self._meter.measure("begun-anew", since(started), octets=lost)
        else:
            self._meter.measure("resumed", since(started))
        return file

    def _check(self, part: _Part, file: _File, digests: dict[str, str]) -> None:
        lines = file.delivery.resources
        wrong = "A file is not as long as announced."
        is_wrong = part.entry.get("count", lines) != lines
        self._meter.check("file-has-the-announced-count", wrong * is_wrong)
        if file.digest is None:
            return
        digest, url = file.digest.hexdigest(), str(part.entry["url"])
        first = digests.setdefault(url, digest)
        wrong = "A file is not the one that was downloaded before."
        self._meter.check("file-is-the-same-again", wrong * (digest != first))


def _heeding(chunks: Iterable[bytes], goes_on: Callable[[], None]) -> Iterator[bytes]:
    for chunk in chunks:
        goes_on()
        yield chunk
