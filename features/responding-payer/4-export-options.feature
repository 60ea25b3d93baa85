Feature: Export options
  What a payer may offer besides, done right where it is offered.

  @bulk-kickoff-13
  Scenario: An accepted kick-off says nothing, or says it as an OperationOutcome
    Given the export of the request "unique"
    Then the body of the kick-off is empty or an OperationOutcome

  @bulk-del-06
  Scenario: An accepted deletion says nothing, or says it as an OperationOutcome
    Given an export that is deleted
    Then the body of the answer is empty or an OperationOutcome

  @bulk-del-04
  Scenario: The files of a deleted export are there or gone
    Given an export that is deleted once it is finished
    Then its files are delivered as before, or are not found

  @bulk-kickoff-03
  Scenario: An export may be started by POST with Parameters
    When an export is started with "_type" set to "Patient"
    Then it is accepted, or refused with an OperationOutcome

  @bulk-kickoff-07
  Scenario: All of a server is exported where that is declared
    When the export of the whole server is started where it is declared
    Then the answer has status 202 or 401 or 403

  @bulk-status-02
  Scenario: A running export is answered 202
    Given the export of the request "unique"
    Then polls that were not the last have status 202

  @bulk-status-03
  Scenario: Progress is told in few words
    Given the export of the request "unique"
    Then no poll tells of its progress in 100 characters or more

  @bulk-man-02
  Scenario: Nothing is delivered that is newer than the transaction time
    Given the export of the request "unique"
    Then nothing delivered was updated after the transaction time

  @bulk-man-19
  Scenario: Extensions of the manifest have the form of their version
    Given the export of the request "unique"
    Then an extension of the manifest is an object or a list of extensions

  @bulk-man-26
  Scenario: Later elements of the manifest have their types
    Given the export of the request "unique"
    Then what later versions add to the manifest has its type

  @bulk-param-21
  Scenario: A manifest comes in one part when parts were not asked for
    Given the export of the request "unique"
    Then no waiting answer holds a manifest, and the manifest has no next part

  @bulk-man-23 @bulk-man-24
  Scenario: The parts of a manifest belong together
    Given the export of the request "unique" with the option "allowPartialManifests" set to "true"
    Then its manifest's parts are linked, alike, and stay as they are

  @bulk-param-20 @bulk-man-21
  Scenario: Files that are organized by Patient say so
    Given the export of the request "unique" with the option "organizeOutputBy" set to "Patient"
    Then the manifest says that its files are organized by "Patient"
    And each block of a file begins with its header

  @bulk-man-22
  Scenario: A block that goes on in another file begins with its header there
    Given the export of the request "unique" with the option "organizeOutputBy" set to "Patient"
    Then a file that another one continues is continued with the same header

  @bulk-param-23
  Scenario: The status of an export is told apart where that is agreed
    When an export is started with its status to be told apart
    Then each answer about its status tells it in a header

  @bulk-param-08
  Scenario: An export of some elements says that its resources are not whole
    Given the export of the request "unique" with the option "_elements" set to "id,name"
    Then every resource with elements left out is tagged as not whole, and has what it must have

  @bulk-param-13
  Scenario: The latest Provenance alone is delivered where that is asked for
    Given the target refuses what it does not support
    And the export of the request "unique" with the option "includeAssociatedData" set to "LatestProvenanceResources"
    Then no resource is the target of more than one Provenance

  @bulk-param-25
  Scenario Outline: A hint of a file's size that makes no sense is refused
    Given the target refuses what it does not support
    When an export is started with "_maximumFileSize" set to "<size>"
    Then it is not accepted

    Examples:
      | size |
      | 0    |
      | -5   |

  @bulk-param-25
  Scenario: Files stay below the size that was asked for
    Given the target refuses what it does not support
    And the export of the request "unique" with the option "_maximumFileSize" set to "20000"
    Then no file is larger than 20000 bytes

  @bulk-param-18
  Scenario: Several filters of one type add up
    Given the export of the request "unique" with Observations before and since the middle of its record
    Then every Observation is delivered that the truth table expects

  @bulk-param-19
  Scenario: An export until a moment of long ago is empty
    Given the target refuses what it does not support
    And the export of the request "unique" with the option "_until" set to "1990-01-01T00:00:00Z"
    Then no resource of the member is delivered

  @bulk-param-12
  Scenario: What is not supported may be left out when asked leniently
    When an export is started leniently with a parameter nobody knows
    Then it is accepted, or refused with an OperationOutcome

  @pdex-180a
  Scenario: A type filter is taken or refused, never answered otherwise
    When an export is started with "_typeFilter" set to "Observation?date=ge2020"
    Then it is accepted, or refused with an OperationOutcome

  @bulk-out-06
  Scenario: Files that need no token are delivered without one
    Given the export of the request "unique"
    When each file is asked for without a token where none is needed
    Then each of them is delivered

  @bulk-out-11 @http-07
  Scenario Outline: A compressed file says so, and how was offered (<offered>)
    Given the export of the request "unique"
    When a file is asked for with the encoding "<offered>"
    Then it is compressed as it says, and in no way that was not offered

    Examples:
      | offered  |
      | gzip     |
      | identity |

  @bulk-out-12
  Scenario Outline: A file is NDJSON whatever is accepted (<accept>)
    Given the export of the request "unique"
    When a file is asked for that may be "<accept>"
    Then it is the file that was delivered

    Examples:
      | accept                  |
      | application/fhir+ndjson |
      | */*                     |

  @bulk-out-15 @bulk-out-16
  Scenario: Attachments lie at absolute addresses, behind the same token
    Given the export of the request "unstructured-documents"
    Then every attachment's address is absolute
    And an attachment of the target is delivered with the token, as its files are

  @bulk-out-17
  Scenario: A member's documents come as DocumentReferences
    Given the export of the request "unstructured-documents"
    Then no Binary is delivered but one that a DocumentReference names

  @bulk-out-18
  Scenario: References are relative, or lie below the exporting payer
    Given the export of the request "unique"
    Then every reference is relative or below the FHIR base

  @bulk-kickoff-15 @needs-pressure
  Scenario: Many exports at once are accepted, or told to wait
    When many exports are started at the same time
    Then each of them is accepted, or told to wait with Retry-After

  @bulk-status-06 @needs-pressure
  Scenario: Polls without pause are answered, or told to wait
    When an export is asked about without pause
    Then each poll is answered, or told to wait with Retry-After
    And the export is still finished
