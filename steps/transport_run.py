"""The transport half of a run: other connections to the same target, other certificates shown."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from cryptography import x509

from ..reference.clock import SystemClock
from ..reference.egress import EgressRules
from ..reference.errors import SettingsError, TargetUnreachable, TlsRefused
from ..reference.fhir import media
from ..reference.http import Exchange, HttpClient
from ..reference.tls import Tls
from ..reference.trust.pki import Issued, TestAuthority
from .verdicts import CannotTell, NotApplicable

if TYPE_CHECKING:
    from .run import TargetRun

_PLAIN = ("The target answers over plain http on this machine, where nothing of TLS can be seen. "
          "Judge it over https: simulate responding-payer --tls test.")  # fmt: skip


class TransportRun:
    """What the target does over TLS, and over mutual TLS where it declares it."""

    def __init__(self, run: TargetRun) -> None:
        self._run = run
        self.tls = run.settings.target.tls.files(run.settings)

    @property
    def base(self) -> str:
        """The FHIR base, which is https; raises CannotTell for plain http on this machine."""
        found = self._run.target.fhir_base
        if found.startswith("http:") and is_local(found):
            raise CannotTell(_PLAIN)
        return found

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """The SMART configuration."""
        return self._run.json_of(self._run.smart_configuration())

    def require_mutual(self) -> None:
        """Raise NotApplicable unless the target declares mutual TLS, or the settings say so."""
        _ = self.base
        methods = self.metadata.get("token_endpoint_auth_methods_supported", [])
        declared = "tls_client_auth" in methods if isinstance(methods, list) else False
        if not declared and self._run.settings.target.auth.method != "mtls":
            raise NotApplicable("The target does not declare mutual TLS (tls_client_auth).")

    def require_own(self) -> Tls:
        """The judge's own certificate; raises CannotTell when none is configured."""
        if not self.tls.certificate:
            raise CannotTell("No client certificate is configured: set [target.tls] certificate "
                             "and key.")  # fmt: skip
        return self.tls

    # Other connections

    def without(self, url: str = "") -> HttpClient:
        """A connection that shows no certificate: to the target, or to a URL of the settings."""
        return self._client(Tls(self.tls.authorities), url)

    def own(self) -> HttpClient:
        """A new connection that shows the judge's own certificate."""
        return self._client(self.require_own())

    def showing(self, issued: Issued) -> HttpClient:
        """A connection that shows another certificate."""
        with tempfile.TemporaryDirectory(prefix="payer-exchange-") as folder:
            chain, key = issued.write(Path(folder), "client")
            # Read at once: the files are gone when the connection is made.
            return self._client(Tls(self.tls.authorities, str(chain), str(key)))

    def _client(self, tls: Tls, url: str = "") -> HttpClient:
        return HttpClient(
            EgressRules(typed=url or self._run.target.fhir_base),
            timeout_s=self._run.settings.target.timeout_s,
            observer=self._run.recorder,
            tls=tls,
            pace=self._run.pace,
        )

    # Certificates

    @cached_property
    def uris(self) -> list[str]:
        """The URIs in the judge's own certificate."""
        content = Path(self.require_own().certificate).read_bytes()
        [leaf, *_] = x509.load_pem_x509_certificates(content)
        try:
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return []
        return list(names.get_values_for_type(x509.UniformResourceIdentifier))

    @cached_property
    def authority(self) -> TestAuthority:
        """An authority that the target trusts; raises CannotTell without one."""
        folder = self._run.settings.target.tls.test_authority
        if not folder:
            raise CannotTell(
                "Other certificates have to be made by an authority that the target trusts: set "
                "[target.tls] test_authority to a folder of payer-exchange init --test-pki."
            )
        try:
            return TestAuthority.read(self._run.settings.path(folder), SystemClock())
        except SettingsError as error:
            raise CannotTell(str(error)) from error

    # Requests

    def ask_token(self, http: HttpClient, form: Sequence[tuple[str, str]]) -> Exchange | None:
        """The answer of the token endpoint over a connection; None when there was no handshake."""
        return sent(
            http, "POST", self._run.target.token_url(),
            {"Content-Type": media.FORM, "Accept": media.JSON}, urlencode(form).encode(),
        )  # fmt: skip

    def by_certificate(self) -> list[tuple[str, str]]:
        """A token request whose only proof is the connection's certificate (RFC 8705, 2)."""
        return [*self.unnamed(), ("client_id", self._run.settings.target.auth.client_id)]

    def unnamed(self) -> list[tuple[str, str]]:
        """The same without the client's name."""
        scope = self._run.settings.target.auth.data_scope
        return [("grant_type", "client_credentials"), ("scope", scope)]


def sent(
    http: HttpClient, method: str, url: str, headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Exchange | None:  # fmt: skip
    """The answer, or None when the connection was refused for its certificate."""
    try:
        return http.request(method, url, headers=headers, body=body, follow=False)
    except (TlsRefused, TargetUnreachable):
        return None
    finally:
        http.close()


def is_local(url: str) -> bool:
    """Whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
