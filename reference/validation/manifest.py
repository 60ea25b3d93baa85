"""A delivery at an address: the files that a Bulk Data manifest names, fetched to be validated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from ..egress import EgressRules, normal_origin
from ..errors import TargetError
from ..fhir import json
from ..http import HttpClient
from ..secret import NO_SECRET, Secret
from ..tls import Tls

MOST_BYTES = 200_000_000_000
_MANIFEST_BYTES = 16_000_000
_MOST_FILES = 20_000
_MOST_PAGES = 1_000
_SHAPE = (
    "The address does not answer with a manifest of Bulk Data. Give the URL of a finished export."
)
_WHY = {
    202: "The export is not finished yet. Ask again when it is.",
    401: "The manifest or a file needs a token, or another one than was given.",
    403: "The manifest or a file needs a token, or another one than was given.",
}


def is_address(text: str) -> bool:
    """Whether a text is a URL and no path."""
    return text.startswith(("http://", "https://"))


def fetch(
    url: str,
    folder: Path,
    *,
    token: Secret = NO_SECRET,
    tls: Tls | None = None,
    most_bytes: int = MOST_BYTES,
    fetched: Callable[[int], None] = lambda _bytes: None,
) -> list[Path]:
    """The files of a manifest (Bulk Data 2.0.0, `output`), written to a folder in its order.

    The token goes to the manifest's own origin alone, and to files only if the manifest requires
    it. `fetched` is told how many bytes have come. Raises TargetError for what is no manifest, is
    not to be had, or is longer than `most_bytes`.
    """
    client = HttpClient(EgressRules(typed=url), tls=tls)
    try:
        return list(_Fetching(client, url, token, most_bytes, fetched).files(folder))
    finally:
        client.close()


class _Fetching:
    """One delivery on its way."""

    def __init__(
        self,
        client: HttpClient,
        url: str,
        token: Secret,
        most_bytes: int,
        fetched: Callable[[int], None],
    ) -> None:
        self._client = client
        self._url = url
        self._token = token
        self._most_bytes = most_bytes
        self._fetched = fetched
        self._bytes = 0

    def files(self, folder: Path) -> Iterator[Path]:
        count = 0
        for manifest in self._pages():
            protected = manifest.get("requiresAccessToken") is True
            for kind, url in _outputs(manifest):
                count += 1
                if count > _MOST_FILES:
                    raise TargetError(f"The manifest names more than {_MOST_FILES} files.")
                path = folder / f"{count:05}-{kind}.ndjson"
                self._write(path, urljoin(self._url, url), protected=protected)
                yield _named_as_it_is(path)

    def _pages(self) -> Iterator[Mapping[str, Any]]:
        """The manifest, and those that it says follow."""
        url = self._url
        for _ in range(_MOST_PAGES):
            manifest = self._manifest(url)
            yield manifest
            following = _next(manifest)
            if not following:
                return
            url = urljoin(url, following)
        raise TargetError(f"The manifest goes on for more than {_MOST_PAGES} pages.")

    def _manifest(self, url: str) -> Mapping[str, Any]:
        body = b"".join(_at_most(self._open(url, protected=True), _MANIFEST_BYTES))
        try:
            found = json.read(body)
        except ValueError as error:
            raise TargetError(_SHAPE) from error
        if not isinstance(found, dict) or not isinstance(found.get("output"), list):
            raise TargetError(_SHAPE)
        return found

    def _write(self, path: Path, url: str, *, protected: bool) -> None:
        with path.open("wb") as file:
            for chunk in _at_most(self._open(url, protected=protected),
                                  self._most_bytes - self._bytes):  # fmt: skip
                file.write(chunk)
                self._bytes += len(chunk)
                self._fetched(self._bytes)

    def _open(self, url: str, *, protected: bool) -> Iterable[bytes]:
        own = normal_origin(url) == normal_origin(self._url)
        bearer = {"Authorization": f"Bearer {self._token.reveal()}"}
        exchange, chunks = self._client.stream(
            url, headers=bearer if protected and own and self._token else {}
        )
        if exchange.status != 200:
            told = f"It was answered with status {exchange.status}."
            raise TargetError(_WHY.get(exchange.status, f"{_SHAPE} {told}"), status=exchange.status)
        return chunks


def _at_most(chunks: Iterable[bytes], left: int) -> Iterator[bytes]:
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise TargetError("What comes from the address is longer than is taken.")
        yield chunk


def _outputs(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in manifest["output"]:
        kind, url = (entry.get(n) if isinstance(entry, dict) else None for n in ("type", "url"))
        if not isinstance(url, str):
            raise TargetError(_SHAPE)
        plain = isinstance(kind, str) and kind.isascii() and kind.isalnum() and len(kind) < 64
        yield (kind if isinstance(kind, str) and plain else "unknown"), url


def _next(manifest: Mapping[str, Any]) -> str:
    """Where the manifest says that it goes on (Bulk Data 3, `link`)."""
    links = manifest.get("link")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == "next":
            url = link.get("url")
            return url if isinstance(url, str) else ""
    return ""


def _named_as_it_is(path: Path) -> Path:
    """The file under a name that says whether it is packed: what a server sends is not told."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return path.rename(path.with_name(path.name + ".gz")) if packed else path
