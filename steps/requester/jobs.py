"""An asynchronous job of the played payer: its status, its manifest and its files.

The export of one member, a bulk match and the export of a Group are all waited for in this way.
"""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...reference.fhir import media
from .calls import Answer, Call, as_json, refusal
from .records import lines
from .script import Delivery

Guard = Callable[[Call], bool]
_PROBLEM = {"resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "exception",
                       "diagnostics": "Some claims could not be read."}]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """One file of a job."""

    role: str
    kind: str
    body: bytes

    @property
    def count(self) -> int:
        """How many resources it holds."""
        return len([line for line in self.body.split(b"\n") if line])


class Job:
    """One job; `place` is put before the names of its places."""

    def __init__(
        self, place: str, request: str, delivery: Delivery, main: str, files_at: str,
        guard: Guard,
    ) -> None:  # fmt: skip
        self.place, self.delivery = place, delivery
        self._request, self._main, self._files_at, self._guard = request, main, files_at, guard
        self._status, self._moved = f"/{secrets.token_hex(8)}", f"/{secrets.token_hex(8)}"
        self._waits = list(delivery.waiting)
        self.files: dict[str, File] = {}
        self.allows_pages = False
        self.moment = ""
        self._read = 0

    @property
    def status_url(self) -> str:
        """Where the job is polled."""
        return self._main + self._status

    def hold(self, content: Mapping[str, Sequence[Mapping[str, Any]]], largest: str) -> None:
        """Make the files of the job: one a type, but for the largest type."""
        for kind, resources in content.items():
            parts = self.delivery.parts if kind == largest else 1
            for part in range(parts):
                body = lines(resources[part::parts])
                if self.delivery.no_last_newline:
                    body = body.removesuffix(b"\n")
                self.add(File("output", kind, body))
        if self.delivery.errors:
            self.add(File("error", "OperationOutcome", lines([_PROBLEM])))

    def add(self, file: File) -> None:
        """One more file, at a random address."""
        self.files[f"/{secrets.token_hex(12)}"] = file

    def tell_deleted(self, keys: Iterable[str]) -> None:
        """Name resources that are no longer there, as type and id."""
        entry = [{"request": {"method": "DELETE", "url": key}} for key in keys]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entry}
        self.add(File("deleted", "Bundle", lines([bundle])))

    @property
    def served(self) -> dict[str, int]:
        """How many resources of each type the output files hold."""
        found: dict[str, int] = {}
        for file in self.files.values():
            if file.role == "output":
                found[file.kind] = found.get(file.kind, 0) + file.count
        return found

    def route(self, method: str, path: str) -> tuple[str, Callable[[Call], Answer]] | None:
        """The place that a path is in this job, and what answers there; None for another path."""
        if path == self._status:
            name = "delete" if method == "DELETE" else "status"
            return self.place + name, self._poll
        if path in self.files:
            return self.place + "file", self._give
        if path.startswith(self._moved):
            where = self._files_at + path.removeprefix(self._moved)
            return self.place + "moved", lambda _: Answer(307, headers={"Location": where})
        return None

    def _poll(self, call: Call) -> Answer:
        if not self._guard(call):
            return refusal(401, "login")
        if call.exchange.method == "DELETE":
            return Answer(202)
        if self._waits:
            waiting = self._waits.pop(0)
            if waiting.status == 202:
                return Answer(202, headers=waiting.headers())
            return refusal(waiting.status, waiting.issue or "throttled", waiting.headers())
        if self.delivery.fails:
            return refusal(500, "processing")
        self._read += 1
        page = int(call.query.get("page", ["1"])[0])
        return as_json(self.manifest(page))

    def manifest(self, page: int = 0) -> dict[str, Any]:
        """The manifest, or one page of it."""
        roles: dict[str, list[dict[str, Any]]] = {"output": [], "error": [], "deleted": []}
        for path, file in self.files.items():
            wrong = 7 if self.delivery.wrong_count else 0
            roles[file.role].append({"type": file.kind, "url": self._public(path),
                                     "count": file.count + wrong})  # fmt: skip
        extras = {"extension": {"https://example.org/made-up": 1}, "madeUp": True}
        found = {
            "transactionTime": self.moment,
            "request": self._request,
            "requiresAccessToken": self.delivery.requires_token,
            "output": roles["output"],
            "error": roles["error"],
            **({"deleted": roles["deleted"]} if roles["deleted"] else {}),
            **(extras if self.delivery.extras else {}),
        }
        return self._paged(found, page) if self.delivery.pages and self.allows_pages else found

    def _paged(self, manifest: dict[str, Any], page: int) -> dict[str, Any]:
        """One output file a page; page 0 is the whole of it."""
        output = manifest["output"]
        if not page:
            return manifest
        link = [{"relation": "next", "url": f"{self.status_url}?page={page + 1}"}]
        more = {"link": link} if page < len(output) else {}
        return {**manifest, "output": output[page - 1 : page], **more}

    def urls(self, *roles: str) -> set[str]:
        """Where the files of these roles are told to be; of all without one."""
        return {self._public(path) for path, file in self.files.items()
                if not roles or file.role in roles}  # fmt: skip

    def _public(self, path: str) -> str:
        if self.delivery.redirected:
            return f"{self._main}{self._moved}{path}"
        return (self._files_at if self.delivery.foreign else self._main) + path

    def _give(self, call: Call) -> Answer:
        guarded = self.delivery.requires_token and not self.delivery.redirected
        if guarded and not self._guard(call):
            return refusal(401, "login")
        path = call.exchange.url.partition("?")[0]
        file = next(f for p, f in self.files.items() if path.endswith(p))
        if self._has_ended(file):
            return refusal(404, "not-found")
        body = self._cut(file)
        headers = {"Content-Type": media.FHIR_NDJSON}
        if self.delivery.gzip and "gzip" in call.header("Accept-Encoding").lower():
            return Answer(200, gzip.compress(body), {**headers, "Content-Encoding": "gzip"})
        return Answer(200, body, headers)

    def _has_ended(self, file: File) -> bool:
        """Whether the address of a file is good no longer: that of Observations, where scripted."""
        until_read_again = self.delivery.expired == "links" and self._read < 2
        return file.kind == "Observation" and (self.delivery.expired == "gone" or until_read_again)

    def _cut(self, file: File) -> bytes:
        if not self.delivery.truncated or file.kind not in ("Observation", "Group", "Parameters"):
            return file.body
        return file.body[: len(file.body) * 2 // 3]


def parameters_of(call: Call) -> dict[str, list[Any]]:
    """What a kick-off asks for, from its query or its Parameters body."""
    found: dict[str, list[Any]] = {name: list(values) for name, values in call.query.items()}
    body = call.json()
    for entry in (body.get("parameter") or []) if isinstance(body, dict) else []:
        value = next((v for k, v in entry.items() if k.startswith("value")), None)
        found.setdefault(str(entry.get("name")), []).append(value)
    return found
