"""The asynchronous half of a responding payer over HTTP: kick-offs, status, files."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Response, request

from ..reference.errors import BadRequest
from ..reference.export.jobs import COMPLETE, FAILED, Job
from ..reference.exporting import Asked
from ..reference.fhir import media
from ..reference.responding import RespondingPayer
from ..reference.trust.tokens import Grant
from .answers import (
    MAX_BULK_BODY,
    fhir_body,
    http_date,
    json_answer,
    operation_pairs,
    preferences,
    require_acceptable,
)
from .file_answers import file_answer

# Where the payer answers itself, whatever address others know it by.
INTERNAL_ROOT = "/fhir"


class ExportRoutes:
    """The routes of every job: who may start one, how it stands, what it brought."""

    def __init__(self, payer: RespondingPayer, grant: Callable[[], Grant]) -> None:
        self._payer = payer
        self._grant = grant

    def add_to(self, route: Callable[..., None]) -> None:
        """Add the routes to a blueprint."""
        post, both = ["POST"], ["GET", "POST"]
        route("/Patient/$export", "export", self.export, methods=both)
        route("/Patient/<ident>/$export", "export_one", self.export, methods=both)
        route("/Group/<ident>/$export", "export_group", self.export_group, methods=both)
        route("/Group/<ident>/$davinci-data-export", "data_export", self.data_export, methods=post)
        route("/Group/$bulk-member-match", "bulk_match", self.bulk_match, methods=post)
        route("/export-status/<job_id>", "status", self.status)
        route("/export-status/<job_id>", "delete", self.delete, methods=["DELETE"])
        route("/export-files/<job_id>/<name>", "file", self.file)

    def export(self, ident: str | None = None) -> Response:
        require_single_member(self._payer)
        return self._kick_off(Asked(member=ident))

    def export_group(self, ident: str) -> Response:
        return self._kick_off(Asked(group=ident))

    def data_export(self, ident: str) -> Response:
        return self._kick_off(Asked(group=ident, payer_to_payer=True))

    def bulk_match(self) -> Response:
        request.max_content_length = MAX_BULK_BODY
        require_bulk(self._payer)
        grant = self._grant()
        _require_async()
        require_acceptable(media.FHIR_NDJSON)
        body = fhir_body()
        return self._accepted(self._payer.bulk_match(grant, self._request_url(), body))

    def _kick_off(self, asked: Asked) -> Response:
        if asked.group:
            require_bulk(self._payer)
        grant = self._grant()
        asked_for = _require_async()
        require_acceptable(media.FHIR_NDJSON)
        job = self._payer.kick_off(
            grant,
            self._request_url(),
            operation_pairs(),
            asked=asked,
            lenient=asked_for.get("handling") == "lenient",
        )
        return self._accepted(job)

    def _accepted(self, job: Job) -> Response:
        return Response(
            status=202,
            headers={
                "Content-Location": f"{self._payer.settings.fhir_base}/export-status/{job.id}"
            },
        )

    def status(self, job_id: str) -> Response:
        job = self._payer.exports.job(self._grant(), job_id)
        wait = self._payer.wait()
        if job.state in (COMPLETE, FAILED):
            return self._manifest(job)
        seconds = str(max(1, int(wait.total_seconds())))
        if self._payer.jobs.polled_too_soon(job, wait):
            raise BadRequest("Polled before Retry-After. Wait as long as it says.", status=429,
                             code="throttled", headers={"Retry-After": seconds})  # fmt: skip
        return Response(status=202, headers={"Retry-After": seconds, "X-Progress": job.progress})

    def delete(self, job_id: str) -> Response:
        self._payer.jobs.remove(self._payer.exports.job(self._grant(), job_id))
        return Response(status=202)

    def file(self, job_id: str, name: str) -> Response:
        grant = self._grant()
        job = self._payer.exports.job(grant, job_id)
        found = self._payer.exports.file(self._payer.access(grant), job, name)
        if found.lines is not None:
            return Response(found.lines, mimetype=media.FHIR_NDJSON)
        return file_answer(found.path, may_pack=self._payer.settings.gzip_files)

    def _manifest(self, job: Job) -> Response:
        base = f"{self._payer.settings.fhir_base}/export-files/{job.id}"
        manifest = self._payer.exports.manifest(job, lambda name: f"{base}/{name}")
        return json_answer(manifest, headers={"Expires": http_date(job.expires)})

    def _request_url(self) -> str:
        path = request.full_path.rstrip("?")
        public = urlsplit(self._payer.settings.fhir_base).path.rstrip("/")
        root = public if public and path.startswith(f"{public}/") else INTERNAL_ROOT
        return self._payer.settings.fhir_base + path.removeprefix(root)


def require_single_member(payer: RespondingPayer) -> None:
    """Raise BadRequest 404 where single-member exchange is not offered."""
    if not payer.settings.single_member:
        raise BadRequest("Single-member exchange is switched off here.", status=404,
                         code="not-supported")  # fmt: skip


def require_bulk(payer: RespondingPayer) -> None:
    """Raise BadRequest 404 where bulk exchange is not offered."""
    if not payer.settings.bulk:
        raise BadRequest("There is no bulk exchange here.", status=404, code="not-supported")


def _require_async() -> dict[str, str]:
    """The preferences of a kick-off; raises BadRequest 400 unless they ask for asynchronous."""
    found = preferences()
    if "respond-async" not in found:
        raise BadRequest("The operation is asynchronous: send Prefer: respond-async.",
                         code="not-supported")  # fmt: skip
    return found
