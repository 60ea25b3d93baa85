"""Synthetic members with truth tables: deterministic by seed, date and member index.

Nobody here is real: the HTEST label, never-issued social security numbers, example domains and
555-01xx telephone numbers say so in the data itself.
"""

from .adversarial import AdversarialRequest, adversarial_requests
from .people import Address, Enrolment, Name, Person
from .population import DEFAULT_AS_OF, Population

__all__ = [
    "DEFAULT_AS_OF",
    "Address",
    "AdversarialRequest",
    "Enrolment",
    "Name",
    "Person",
    "Population",
    "adversarial_requests",
]
