"""URLs and codes of HRex that both payers write and read."""

from __future__ import annotations

# Followed by `regular` or `sensitive` (hrex-consent, policy).
POLICY = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#"
DISCLOSER_ROLE = (
    "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "performer",
)
RECIPIENT_ROLE = ("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")
DISCLOSE = ("http://terminology.hl7.org/CodeSystem/consentaction", "disclose")
HREX_TEMP = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
# The operation, and the scope that permits it.
MEMBER_MATCH = "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match"
SUBSCRIBER_RELATIONSHIP = "http://terminology.hl7.org/CodeSystem/subscriber-relationship"
# Followed by the short name of one of its profiles.
HREX_PROFILE = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/hrex-"
