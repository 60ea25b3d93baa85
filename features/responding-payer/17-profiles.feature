Feature: Profiles
  What is delivered is what it claims to be.

  @pdex-119
  Scenario Outline: Everything that is delivered is FHIR R4 (<request>)
    Given the export of the request "<request>"
    Then every resource is as FHIR R4 says

    Examples:
      | request                |
      | unique                 |
      | every-claim            |
      | prior-authorizations   |
      | unstructured-documents |

  @pdex-80 @hrex-conf-3
  Scenario Outline: What a profile requires is there (<request>)
    Given the export of the request "<request>"
    Then nothing is missing that a claimed profile requires

    Examples:
      | request              |
      | unique               |
      | every-claim          |
      | prior-authorizations |

  @pdex-97 @pdex-v210-mapping-should
  Scenario Outline: Every resource is as the profile it claims says (<request>)
    Given the export of the request "<request>"
    Then every resource that claims a profile is as it says

    Examples:
      | request                |
      | unique                 |
      | every-claim            |
      | prior-authorizations   |
      | unstructured-documents |

  @hrex-conf-8
  Scenario: What records refer to is as US Core says
    Given the export of the request "unique"
    Then every Practitioner, PractitionerRole, Organization and Location is as US Core says

  @pdex-pa-adjudication
  Scenario: The adjudication of a prior authorization is as its profile says
    Given the export of the request "prior-authorizations"
    Then the "adjudication" of prior authorizations is as their profile says

  @pdex-pa-utilization
  Scenario: The totals of a prior authorization are as its profile says
    Given the export of the request "prior-authorizations"
    Then the "total" of prior authorizations is as their profile says

  @pdex-pa-adjdate
  Scenario: A prior authorization tells when it was decided
    Given the export of the request "prior-authorizations"
    Then a prior authorization has the extension "base-ext-when-adjudicated"

  @pdex-pa-reviewaction
  Scenario: A prior authorization tells how it was decided
    Given the export of the request "prior-authorizations"
    Then a prior authorization has the extension "extension-reviewAction"

  @pdex-pa-docs
  Scenario: Documents hang on a prior authorization as additional information
    Given the export of the request "prior-authorizations"
    Then documents are named in supportingInfo with the category "additionalInformation"

  @pdex-pa-docs-inline-url
  Scenario: A document of a prior authorization holds its content, or says where it is
    Given the export of the request "prior-authorizations"
    Then every attachment has a content type and data or an address

  @pdex-135 @pdex-v210-payload-should
  Scenario: Clinical data, claims and prior authorizations with their documents are delivered
    Given the export of the request "prior-authorizations"
    Then clinical data, claims, prior authorizations and their documents are delivered

  @pdex-79
  Scenario: The dentist's claims are part of the exchange
    Given the export of the request "every-claim"
    Then a claim of the profile "C4BB-ExplanationOfBenefit-Oral-Basis" is delivered

  @pdex-239
  Scenario: Unstructured content lies in a Binary that a document names
    Given the export of the request "unstructured-documents"
    Then a Binary with data is delivered that a DocumentReference names

  @pdex-40 @pdex-41
  Scenario: A Procedure is a clinical procedure
    Given the export of the request "every-claim"
    Then no Procedure is coded as a drug, a charge or a supply

  @pdex-02
  Scenario: Dispenses on the footing of US Core 3.1.1 are of the profile of PDex
    Given the export of the request "unique"
    Then every MedicationDispense is of "pdex-medicationdispense" on the footing of "3.1.1"

  @pdex-03
  Scenario: Dispenses on the footing of US Core 6.1.0 are of the profile of US Core
    Given the export of the request "unique"
    Then every MedicationDispense is of "us-core-medicationdispense" on the footing of "6.1.0"

  @pdex-106
  Scenario: Nothing stands where there is no value
    Given the export of the request "unique"
    Then no text stands in for a value that is not there

  @pdex-387
  Scenario: The newest version is delivered
    Given the export of the request "unique"
    When the Patient of "unique" is read
    Then the Patient delivered is as new as the one that is read

  @pdex-390
  Scenario: References to a version name it as FHIR does
    Given the export of the request "unique"
    Then a reference to a version has the form "Type/id/_history/version"

  @hrex-conf-1
  Scenario Outline: What must be supported can be delivered (<request>)
    Given the export of the request "<request>"
    Then every must-support element that the data has is delivered at least once

    Examples:
      | request              |
      | unique               |
      | every-claim          |
      | prior-authorizations |

  @pdex-103
  Scenario Outline: What profiles that are named mark as must-support is delivered (<request>)
    Given the export of the request "<request>"
    Then every must-support element that the data has of the profiles the target names is delivered

    Examples:
      | request              |
      | unique               |
      | every-claim          |
      | prior-authorizations |

  @pdex-81
  Scenario Outline: Optional elements are there whenever the data has them (<request>)
    Given the export of the request "<request>"
    Then optional must-support elements are delivered wherever the data has them

    Examples:
      | request              |
      | unique               |
      | every-claim          |
      | prior-authorizations |

  @pdex-82
  Scenario Outline: What comes is filled with what must be supported in it (<request>)
    Given the export of the request "<request>"
    Then what is delivered has the must-support children that the data has

    Examples:
      | request              |
      | unique               |
      | every-claim          |
      | prior-authorizations |

  @pdex-pa-pas221
  Scenario: Prior authorizations tell of the review and the stay
    Given the export of the request "prior-authorizations"
    Then prior authorizations have the extensions of PAS 2.2.1 that the data has
