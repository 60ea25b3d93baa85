"""URLs and codes of PDex that both payers write and read."""

from __future__ import annotations

VERSIONS = ("2.0.0", "2.1.0", "2.2.0")
NEWEST = VERSIONS[-1]
_PDEX = "http://hl7.org/fhir/us/davinci-pdex/"
BULK_MEMBER_MATCH = _PDEX + "OperationDefinition/BulkMemberMatch"
# The scope ends in the operation's code in 2.1.0 and in its canonical's name since (FHIR-56185).
BULK_MATCH_SCOPES = {
    "2.1.0": _PDEX + "OperationDefinition/bulk-member-match",
    "2.2.0": BULK_MEMBER_MATCH,
}
RESULT_CODES = _PDEX + "CodeSystem/PdexMultiMemberMatchResultCS"
MATCH, NO_MATCH, CONSENT_CONSTRAINT = "match", "nomatch", "consentconstraint"
MATCH_GROUP = _PDEX + "StructureDefinition/pdex-member-match-group"
NO_MATCH_GROUP = _PDEX + "StructureDefinition/pdex-member-no-match-group"
SUBMITTED_PATIENT = _PDEX + "StructureDefinition/base-ext-match-parameters"
SUBMITTED_COVERAGE = _PDEX + "StructureDefinition/base-ext-match-coverage"
# The output parameters, by the code of the Group each holds.
ENVELOPE = {
    MATCH: "MatchedMembers",
    NO_MATCH: "NonMatchedMembers",
    CONSENT_CONSTRAINT: "ConsentConstrainedMembers",
}
DATA_EXPORT = "http://hl7.org/fhir/us/davinci-atr/OperationDefinition/davinci-data-export"
PAYER_TO_PAYER = "hl7.fhir.us.davinci-pdex#payertopayer"
