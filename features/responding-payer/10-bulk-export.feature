Feature: Bulk export
  The records of a matched Group: all its members, nobody else, and nothing that has to stay.

  @atr-export-instance @bulk-p2p-01 @pdex-164
  Scenario: A matched Group can be exported
    Given the Group export of the known answers
    Then the kick-off has status 202
    And the kick-off names an absolute status URL

  @atr-response-rules
  Scenario: A Group export ends with a manifest and whole files
    Given the Group export of the known answers
    Then the manifest's "transactionTime" is an instant
    And every file of the manifest has a type and an absolute URL
    And every count of the manifest is the number of lines in its file
    And every file was downloaded whole
    And every line of every file is a resource

  @bulk-group-01 @atr-export-patient-all
  Scenario: The export holds every matched member and nobody else
    Given the bulk match of the known answers
    And the Group export of the matched members
    Then the Patients delivered are the members of the Group

  @bulk-group-01
  Scenario: The export of a Group of nobody is empty
    Given the Group export of the unknown members
    Then nothing is delivered

  @pdex-158 @pdex-168 @pdex-210
  Scenario: All of every member's record is delivered
    Given the Group export of the known answers
    Then everything is delivered that the truth table expects of the Group's members

  @cms0057-exclude-denied-pa
  Scenario: What has to stay of every member's record stays
    Given the Group export of the known answers
    Then nothing is delivered that the truth table withholds of the Group's members

  @cms0057-exclude-denied-pa @conflict-denied-prior-authorizations
  Scenario: Denied prior authorizations of every member stay
    Given the Group export of the known answers
    Then no denied prior authorization of the Group's members is delivered

  @cms0057-exclude-financial
  Scenario: Claims of a Group carry no money
    Given the Group export of the known answers
    Then no claim of the Group holds an amount of money

  @bulk-out-14
  Scenario: What members share is delivered once
    Given the Group export of the known answers
    Then no resource is delivered twice

  @atr-export-patient-ignore @bulk-status-13
  Scenario: Somebody outside the Group is left out and told of
    Given the Group export of the matched members for one of them and a stranger
    Then the Patient delivered is that one
    And an error file tells what was ignored

  @atr-export-until
  Scenario: An export until a moment holds nothing newer
    Given the Group export of the matched members with "_until" set to "1990-01-01T00:00:00Z"
    Then nothing is delivered

  @bulk-kickoff-05
  Scenario: The Bulk Data operation serves a Group as well
    Given the plain Group export of the matched members
    Then the kick-off has status 202
    And the Patients delivered are the members of the Group

  @pdex-156 @pdex-167 @pdex-revocation-responder @needs-withdraw-consent
  Scenario: Who withdraws after the match is not in the export, and everybody else is
    Given the bulk match of the requests "withdrawn-later" and "unique"
    When the consent of "withdrawn-later" is withdrawn and the Group is exported
    Then nothing is delivered of "withdrawn-later"
    And everything is delivered of "unique" that the truth table expects

  @pdex-156 @pdex-167 @pdex-revocation-responder @needs-withdraw-consent
  Scenario: Who withdraws after the export is not in what is downloaded
    Given the bulk match of the requests "withdrawn-later" and "unique"
    When the Group is exported and the consent of "withdrawn-later" is withdrawn before the download
    Then nothing is delivered of "withdrawn-later"

  @bulk-p2p-03 @pdex-187 @bulk-kickoff-18 @pdex-188
  Scenario Outline: A Group export is closed <closed>
    When a Group export is started <closed>
    Then the answer has status 401 or 403

    Examples:
      | closed                     |
      | without a token            |
      | with a token for the match |

  @bulk-p2p-04
  Scenario: A Group that does not exist is not exported
    When a Group export of a Group that does not exist is started
    Then the answer has status 403 or 404

  @pdex-v210-since-clamp
  Scenario: PDex 2.1.0 raises a since of long ago to five years
    Given the Group export of the known answers with "_since" set to "2001-01-01T00:00:00Z"
    Then nothing is delivered of the Group's members that is older than five years
