Feature: Payload
  What has to be in a delivery, what must not be, and how it refers to itself.

  @pdex-127 @pdex-42
  Scenario: The exchange has a Provenance of the transmitter
    Given the export of the request "unique"
    Then a Provenance names the transmitter and what was transmitted

  @bulk-provenance-default @bulk-param-14
  Scenario: Provenance is delivered unless types are restricted
    Given the export of the request "unique"
    Then resources of the type "Provenance" are delivered

  @pdex-prov-profile
  Scenario: Provenance names who acted and as what
    Given the export of the request "unique"
    Then every Provenance has agents with who and type

  @pdex-prov-sourceformat
  Scenario: The format of a source stands where it belongs
    Given the export of the request "unique"
    Then formats of sources stand on entities, with codes of the guide

  @pdex-05 @pdex-04
  Scenario: Every resource has a Provenance of its origin
    Given the export of the request "unique"
    Then every clinical resource is the target of a Provenance of author or source

  @cms0057-exclude-financial
  Scenario: Claims carry no money
    Given the export of the request "every-claim"
    Then no claim holds an amount of money

  @pdex-75
  Scenario: Claims claim their profiles
    Given the export of the request "every-claim"
    Then every claim claims a CARIN Basis profile

  @pdex-158 @pdex-168
  Scenario: Claims of every kind are delivered
    Given the export of the request "every-claim"
    Then the claims claim the five CARIN Basis profiles

  @pdex-131 @pdex-132 @pdex-170
  Scenario: Prior authorizations are delivered by the twelve-month rule
    Given the export of the request "prior-authorizations"
    Then the prior authorizations are those that the truth table expects

  @cms0057-exclude-denied-pa
  Scenario: Prior authorizations of drugs stay
    Given the export of the request "prior-authorizations"
    Then nothing is delivered that the truth table withholds

  @cms0057-exclude-denied-pa @conflict-denied-prior-authorizations
  Scenario: Denied prior authorizations stay
    Given the export of the request "prior-authorizations"
    Then no denied prior authorization is delivered

  @pdex-76 @pdex-pa-metaprofile @pdex-pa-use
  Scenario: Prior authorizations claim their profile
    Given the export of the request "prior-authorizations"
    Then every prior authorization claims its profile and has what it requires

  @pdex-133 @pdex-134
  Scenario: Prior authorizations come with their documents
    Given the export of the request "prior-authorizations"
    Then the documents that prior authorizations name are delivered

  @pdex-172 @pdex-169 @pdex-130 @pdex-165
  Scenario: Five years of data are delivered
    Given the export of the request "time-windows"
    Then everything of the last five years is delivered that the truth table expects

  @pdex-176
  Scenario: Since is not rewritten
    Given the export of the request "time-windows" with "_since" set to "2000-01-01T00:00:00Z"
    Then everything is delivered that the truth table expects

  @bulk-param-02
  Scenario: Since leaves out what was not updated after it
    Given the export of the request "time-windows" since the middle of its updates
    Then only resources updated after it are delivered

  @pdex-154
  Scenario: A consent for regular data keeps sensitive records back
    Given the export of the request "sensitive-held"
    Then nothing is delivered that the truth table withholds

  @pdex-139
  Scenario: Export and everything deliver the same
    Given the export of the request "unique"
    And everything of the request "unique"
    Then both hold the same resources

  @ref-01
  Scenario: What a delivery refers to is in it
    Given the export of the request "unique"
    Then every reference leads to a resource of the delivery

  @pdex-36
  Scenario: The member's number is typed
    Given the export of the request "unique"
    Then the Patient has an identifier of type "MB"

  @pdex-21
  Scenario: An AllergyIntolerance claims a profile of the guides
    Given the export of the request "unique"
    Then every AllergyIntolerance claims a profile of US Core, PDex or HRex

  @pdex-22
  Scenario: A CarePlan claims a profile of the guides
    Given the export of the request "unique"
    Then every CarePlan claims a profile of US Core, PDex or HRex

  @pdex-23
  Scenario: A CareTeam claims a profile of the guides
    Given the export of the request "unique"
    Then every CareTeam claims a profile of US Core, PDex or HRex

  @pdex-25 @pdex-26
  Scenario: A DiagnosticReport claims a profile of the guides
    Given the export of the request "unique"
    Then every DiagnosticReport claims a profile of US Core, PDex or HRex

  @pdex-27
  Scenario: A DocumentReference claims a profile of the guides
    Given the export of the request "unique"
    Then every DocumentReference claims a profile of US Core, PDex or HRex

  @pdex-28
  Scenario: An Immunization claims a profile of the guides
    Given the export of the request "unique"
    Then every Immunization claims a profile of US Core, PDex or HRex

  @pdex-31
  Scenario: A Location claims a profile of the guides
    Given the export of the request "unique"
    Then every Location claims a profile of US Core, PDex or HRex

  @pdex-32
  Scenario: A Medication claims a profile of the guides
    Given the export of the request "unique"
    Then every Medication claims a profile of US Core, PDex or HRex

  @pdex-33
  Scenario: A MedicationRequest claims a profile of the guides
    Given the export of the request "unique"
    Then every MedicationRequest claims a profile of US Core, PDex or HRex

  @pdex-34
  Scenario: An Organization claims a profile of the guides
    Given the export of the request "unique"
    Then every Organization claims a profile of US Core, PDex or HRex

  @pdex-35
  Scenario: A Patient claims a profile of the guides
    Given the export of the request "unique"
    Then every Patient claims a profile of US Core, PDex or HRex

  @pdex-37
  Scenario: A Practitioner claims a profile of the guides
    Given the export of the request "unique"
    Then every Practitioner claims a profile of US Core, PDex or HRex

  @pdex-38
  Scenario: A PractitionerRole claims a profile of the guides
    Given the export of the request "unique"
    Then every PractitionerRole claims a profile of US Core, PDex or HRex

  @pdex-39
  Scenario: A Procedure claims a profile of the guides
    Given the export of the request "unique"
    Then every Procedure claims a profile of US Core, PDex or HRex

  @pdex-30
  Scenario: An Observation claims a profile of the guides
    Given the export of the request "unique"
    Then every Observation claims a profile of US Core, PDex or HRex

  @pdex-74
  Scenario: A Condition claims a profile of the guides
    Given the export of the request "unique"
    Then every Condition claims a profile of US Core, PDex or HRex

  @pdex-78
  Scenario: A MedicationDispense claims a profile of the guides
    Given the export of the request "unique"
    Then every MedicationDispense claims a profile of US Core, PDex or HRex

  @pdex-29
  Scenario: A Device claims a profile of the guides
    Given the export of the request "every-claim"
    Then every Device claims a profile of US Core, PDex or HRex

  @bulk-out-14
  Scenario: Documents have content
    Given the export of the request "unstructured-documents"
    Then every attachment has a content type and data or an address

  @pdex-v210-5yr-cap
  Scenario: PDex 2.1.0 delivers nothing that is older than five years
    Given the export of the request "time-windows"
    Then nothing is delivered that PDex 2.1.0 caps
