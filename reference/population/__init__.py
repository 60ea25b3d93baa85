"""Synthetic members with truth tables: deterministic by seed, date and member index.

Nobody here is real: the HTEST label, never-issued social security numbers, example domains and
555-01xx telephone numbers say so in the data itself.
"""

from .adversarial import AdversarialRequest, adversarial_requests
from .chart import Entry, MemberRecord
from .named import SPECIAL
from .people import (
    MEMBER_ID_SYSTEM,
    PAYER_IDENTIFIER,
    PAYER_NAME,
    Address,
    Enrolment,
    Name,
    Person,
)
from .population import DEFAULT_AS_OF, Population
from .writing import REQUESTING_PAYER, RESPONDING_PAYER, write_population

__all__ = [
    "DEFAULT_AS_OF",
    "MEMBER_ID_SYSTEM",
    "PAYER_IDENTIFIER",
    "PAYER_NAME",
    "REQUESTING_PAYER",
    "RESPONDING_PAYER",
    "SPECIAL",
    "Address",
    "AdversarialRequest",
    "Enrolment",
    "Entry",
    "MemberRecord",
    "Name",
    "Person",
    "Population",
    "adversarial_requests",
    "write_population",
]
