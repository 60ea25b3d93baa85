"""Every error the exchange or the harness raises.

PayerExchangeError            the exchange or the harness could not go on
├── SettingsError             a settings file, key or value is wrong
├── TargetError               the other payer answered wrongly; carries request, response, elapsed
│   ├── TargetUnreachable     no connection could be made
│   │   ├── TargetHungUp      the connection was closed without an answer
│   │   └── TlsRefused        no secure connection: a certificate or a TLS version is not good
│   ├── TargetTimeout         a connection was made, and nothing came in time
│   ├── AddressRefused        a URL leads where no request, or no token, may go
│   └── OutcomeReturned       the answer was a FHIR OperationOutcome
├── ConsentRefused            the responding payer cannot honour the Consent
├── NoMatch                   no member fits
├── ManyMatches               more than one member fits
├── TokenRefused              the authorization server refused the client
├── ExportFailed              the export ended with an error, or its files are not what was promised
├── RecordRejected            a resource cannot be stored as it is
└── BadRequest                what a caller sent breaks a rule of the operation

A verdict on a target is no error of the harness: that is `CheckFailed` in `steps`.
No message holds a member's name, identifier or date, or a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class PayerExchangeError(Exception):
    """The exchange or the harness could not go on."""


class SettingsError(PayerExchangeError):
    """A settings file, key or value is wrong; the message names file, section and nearest key."""


class TargetError(PayerExchangeError):
    """The other payer answered in a way the exchange cannot use."""

    def __init__(self, message: str, *, status: int | None = None, elapsed_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.elapsed_s = elapsed_s


class TargetUnreachable(TargetError):
    """No connection to the other payer could be made."""


class TargetHungUp(TargetUnreachable):
    """The other payer took the request and closed the connection without an answer."""


class TlsRefused(TargetUnreachable):
    """No secure connection to the other payer could be made; nothing was sent."""


class AddressRefused(TargetError):
    """A URL that the other payer gave leads where no request, or no token, may go."""


class TargetTimeout(TargetError):
    """The other payer took the connection and did not answer in time."""


class OutcomeReturned(TargetError):
    """The other payer answered with an OperationOutcome."""


class ConsentRefused(TargetError):
    """The responding payer found the member and cannot honour the Consent."""


class NoMatch(TargetError):
    """The responding payer knows no such member."""


class ManyMatches(TargetError):
    """The responding payer found more than one such member."""


class TokenRefused(TargetError):
    """The authorization server refused the client or its assertion."""


class ExportFailed(TargetError):
    """The export ended in an error, or its files are not what the manifest promised."""


class RecordRejected(PayerExchangeError):
    """A resource cannot be stored as it is."""


@dataclass
class BadRequest(PayerExchangeError):
    """What a caller sent breaks a rule; rendered as an OperationOutcome.

    `status` is the HTTP status, `code` the issue type, `expression` the FHIRPath of the element;
    `issues` are what else is wrong, as the OperationOutcome tells it.
    """

    message: str
    status: int = 400
    code: str = "invalid"
    expression: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    issues: tuple[dict[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.message
