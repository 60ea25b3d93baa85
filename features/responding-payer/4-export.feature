Feature: Export
  A member's record in NDJSON files, started, waited for, downloaded and released.

  @bulk-kickoff-11 @bulk-kickoff-04 @bulk-kickoff-01
  Scenario: An export is accepted
    Given the export of the request "unique"
    Then the kick-off has status 202

  @pdex-215 @pdex-216
  Scenario: A single member's record can be exported in bulk
    Given the export of the request "unique"
    Then the kick-off has status 202

  @bulk-kickoff-06
  Scenario: All members of a token can be exported together
    When all that the token of "unique" reaches is exported
    Then the answer has status 202

  @bulk-param-10 @bulk-param-09
  Scenario: An export cannot be narrowed to somebody out of reach
    When an export is started with "patient" set to "Patient/no-such-patient-0000"
    Then the answer is a refusal with an OperationOutcome

  @bulk-kickoff-16
  Scenario: Types sent one by one are the same as types in a list
    Given the export of the request "unique" with "_type" set to "Patient;Condition"
    Then the files hold resources of the types "Patient, Condition" only
    And resources of the type "Patient" are delivered
    And resources of the type "Condition" are delivered

  @scope-14 @bulk-param-06
  Scenario: A type that nobody holds fails the kick-off
    When an export is started with "_type" set to "Nonsense"
    Then the answer is a refusal with an OperationOutcome

  @pdex-180c @bulk-param-15
  Scenario: A filter is applied to its own type, and to no other
    Given the export of the request "unique" with Observations since the middle of its record
    Then only Observations since then are delivered, and every Condition

  @bulk-man-14 @bulk-man-12
  Scenario: What is ignored leniently is told in an error file
    Given a lenient export of the request "unique" with a parameter nobody knows
    Then an error file tells what was ignored

  @bulk-man-11
  Scenario: Error files hold OperationOutcomes, a line each
    Given a lenient export of the request "unique" with a parameter nobody knows
    Then each line of the error files is an OperationOutcome

  @bulk-kickoff-12
  Scenario: The kick-off tells where to ask for the status
    Given the export of the request "unique"
    Then the kick-off names an absolute status URL

  @bulk-kickoff-02
  Scenario: An export can be started by GET
    When an export is started by GET
    Then the answer has status 202

  @bulk-kickoff-10
  Scenario: Several preferences may share a header
    When an export is started with the preference "handling=lenient, respond-async"
    Then the answer has status 202

  @bulk-param-01
  Scenario Outline: The output format <format> is understood
    When an export is started with "_outputFormat" set to "<format>"
    Then the answer has status 202

    Examples:
      | format                  |
      | application/fhir+ndjson |
      | application/ndjson      |
      | ndjson                  |

  @bulk-kickoff-14
  Scenario Outline: A kick-off is refused with <parameter> set to <value>
    When an export is started with "<parameter>" set to "<value>"
    Then the answer is a refusal with an OperationOutcome

    Examples:
      | parameter     | value    |
      | _outputFormat | text/csv |
      | _since        | yesterday |
      | _since        | 2026-01-01 |
      | _type         | Nonsense |

  @bulk-param-11
  Scenario: A parameter nobody knows is refused
    When an export is started with "_nonsense" set to "1"
    Then the answer is a refusal with an OperationOutcome

  @pdex-180d
  Scenario: A filter that cannot be applied is never ignored in silence
    When an export is started with "_typeFilter" set to "Observation?nonsense=1"
    Then the filter is refused, or reported in an error file

  @bulk-param-04
  Scenario: An export of some types holds those types only
    Given the export of the request "unique" with "_type" set to "Patient,Condition"
    Then the files hold resources of the types "Patient, Condition" only

  @bulk-param-03
  Scenario: An export since a moment to come is empty
    Given the export of the request "unique" with "_since" set to "2099-01-01T00:00:00Z"
    Then no resource of the member is delivered

  @bulk-param-24
  Scenario: An export holds the Patient
    Given the export of the request "unique"
    Then resources of the type "Patient" are delivered

  @bulk-param-05 @pdex-179
  Scenario: An export without types holds all that the member's record has
    Given the export of the request "unique"
    Then every resource is delivered that the truth table expects

  @bulk-status-04
  Scenario: A poll is told when to come again
    Given the export of the request "unique"
    Then polls that were not the last carry Retry-After

  @cms0057-respond-1bd
  Scenario: Nobody is told to wait for longer than a business day
    Given the export of the request "unique"
    Then no answer asks to come again later than a business day

  @bulk-status-14
  Scenario: A finished export is answered with JSON
    Given the export of the request "unique"
    Then the last poll has the media type "application/json"

  @bulk-status-15
  Scenario: A finished export says how long it is kept
    Given the export of the request "unique"
    Then the last poll has the header "Expires"

  @bulk-status-16 @pdex-184
  Scenario: The status is closed without a token
    Given the export of the request "unique"
    When the status is asked for without a token
    Then the answer has status 401 or 403

  @bulk-status-19 @bulk-status-01
  Scenario: A finished export is answered the same again, with another token too
    Given the export of the request "unique"
    When the status is asked for again with a new token
    Then the answer is the same manifest

  @bulk-status-18
  Scenario: An export that does not exist is not found
    When the status of an export that does not exist is asked for
    Then the answer has status 404
    And the answer is an OperationOutcome

  @bulk-man-01
  Scenario: The manifest has a transaction time
    Given the export of the request "unique"
    Then the manifest's "transactionTime" is an instant

  @bulk-man-03
  Scenario: The manifest names the request
    Given the export of the request "unique"
    Then the manifest's "request" is an absolute URL

  @bulk-man-04
  Scenario: The manifest says whether files need a token
    Given the export of the request "unique"
    Then the manifest's "requiresAccessToken" is a boolean

  @bulk-man-05 @bulk-man-06
  Scenario: The manifest lists files with type and address
    Given the export of the request "unique"
    Then every file of the manifest has a type and an absolute URL

  @bulk-man-10
  Scenario: The manifest has a list of errors even when there are none
    Given the export of the request "unique"
    Then the manifest's "error" is a list

  @bulk-man-08
  Scenario: The manifest lists no empty file
    Given the export of the request "unique"
    Then no file of the manifest is empty

  @bulk-man-09
  Scenario: The manifest counts right
    Given the export of the request "unique"
    Then every count of the manifest is the number of lines in its file

  @bulk-out-01 @bulk-man-20
  Scenario: Every file can be downloaded
    Given the export of the request "unique"
    Then every file was downloaded whole

  @bulk-out-02
  Scenario: Files are served as NDJSON
    Given the export of the request "unique"
    Then every file has the media type "application/fhir+ndjson"

  @bulk-out-03
  Scenario: Every line of a file is a resource
    Given the export of the request "unique"
    Then every line of every file is a resource

  @bulk-man-07
  Scenario: A file holds one type
    Given the export of the request "unique"
    Then every file holds resources of its own type only

  @bulk-group-02
  Scenario: No resource is delivered twice
    Given the export of the request "unique"
    Then no resource is delivered twice

  @pdex-184
  Scenario: Files are closed without a token
    Given the export of the request "unique"
    When each file is asked for without a token
    Then every file was refused

  @bulk-del-03
  Scenario: An export that does not exist cannot be deleted
    When an export that does not exist is deleted
    Then the answer is a refusal with an OperationOutcome

  @bulk-del-01
  Scenario: An export can be deleted
    Given an export that is deleted
    Then the answer has status 202

  @bulk-del-02
  Scenario: A deleted export is not found
    Given an export that is deleted
    When its status is asked for
    Then the answer has status 404
    And the answer is an OperationOutcome
