Feature: Export by a requesting payer
  It starts an export, waits as it is told, takes every file, and knows when something is missing.

  @bulk-kickoff-08
  Scenario: The kick-off asks for FHIR JSON
    Given the exchange "plain"
    Then the kick-off has "application/fhir+json" in "Accept"

  @bulk-kickoff-09
  Scenario: The kick-off asks for an asynchronous answer
    Given the exchange "plain"
    Then the kick-off has "respond-async" in "Prefer"

  @bulk-status-09
  Scenario: A poll asks for JSON
    Given the exchange "plain"
    Then every poll has "application/json" in "Accept"

  @bulk-status-05 @http-04
  Scenario Outline: A poll comes no sooner than it was told to (<form>)
    Given the exchange "<name>"
    Then no poll comes sooner than the one before was told
    And the record is received

    Examples:
      | form    | name         |
      | seconds | wait-seconds |
      | a date  | wait-date    |

  @bulk-status-08
  Scenario: Polls that came too fast are waited out
    Given the exchange "polled-too-fast"
    Then no poll comes sooner than the one before was told
    And the export is asked for once
    And the record is received

  @bulk-status-12
  Scenario: A transient error is waited out
    Given the exchange "transient-error"
    Then the record is received

  @bulk-status-12
  Scenario: A failed export ends the exchange
    Given the exchange "failed-job"
    Then the status is not asked for again after the failure
    And the requesting payer does not claim to have a record

  @bulk-man-27
  Scenario: Unknown parts of a manifest are left alone
    Given the exchange "manifest-extras"
    Then the record is received

  @bulk-out-04
  Scenario: Files that are guarded are asked for with the token
    Given the exchange "plain"
    Then every file is asked for with a token

  @bulk-out-05
  Scenario: Files at signed addresses are asked for without a token
    Given the exchange "signed-urls"
    Then no file is asked for with a token
    And the record is received

  @http-06
  Scenario: A redirect to another host takes no token along
    Given the exchange "redirected-files"
    Then no call to the other host carries a token

  @bulk-out-09
  Scenario: Files may come compressed
    Given the exchange "plain"
    Then every file request has "gzip" in "Accept-Encoding"

  @bulk-out-10
  Scenario Outline: Files are read in either coding (<name>)
    Given the exchange "<name>"
    Then the record is received

    Examples:
      | name  |
      | gzip  |
      | plain |

  @bulk-out-10
  Scenario: Several files of a type are all read, with or without a last newline
    Given the exchange "files-of-a-type"
    Then every file is asked for once
    And the record is received

  @bulk-out-20
  Scenario Outline: A file that is not whole is noticed (<name>)
    Given the exchange "<name>"
    Then the requesting payer does not claim to have a record

    Examples:
      | name        |
      | truncated   |
      | wrong-count |

  @bulk-del-05
  Scenario: A finished export is given back
    Given the exchange "plain"
    Then the export is deleted after the last file

  @bulk-out-19
  Scenario: Resources without meta are taken in
    Given the exchange "without-meta"
    Then the record is received

  @hrex-conf-6 @hrex-conf-7 @pdex-109
  Scenario: Unknown extensions and absent values are taken in
    Given the exchange "extensions"
    Then the record is received

  @hrex-conf-2 @pdex-83 @pdex-104
  Scenario: A record with all that must be supported is taken in
    Given the exchange "must-support"
    Then the record is received

  @pdex-195 @pdex-238
  Scenario: What the other payer offers is read before data is asked for
    Given the exchange "plain"
    Then the CapabilityStatement is read before any data
