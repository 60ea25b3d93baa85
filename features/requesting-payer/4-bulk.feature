Feature: Bulk exchange by a requesting payer
  Many members go in one bulk match; the matched Group is exported, and no other.

  @pdex-146
  Scenario: The bulk match is posted
    Given the exchange "bulk"
    Then every "bulk-match" is posted

  @pdex-147
  Scenario: The bulk match asks for an asynchronous answer
    Given the exchange "bulk"
    Then every "bulk-match" prefers an asynchronous answer

  @pdex-v210-prefer-both
  Scenario: Both operations are posted, and ask for an asynchronous answer
    Given the exchange "bulk"
    Then every "bulk-match" is posted
    And every "bulk-match" prefers an asynchronous answer
    And every "group-export" is posted
    And every "group-export" prefers an asynchronous answer

  @pdex-144 @pdex-prof-in @pdex-398
  Scenario: Every MemberBundle has its parts
    Given the exchange "bulk"
    Then every MemberBundle has the parts of PDex
    And every member is submitted once, under an id of its own

  @pdex-140
  Scenario: Every member is told by demographics, card and Consent
    Given the exchange "bulk"
    Then the parts of every MemberBundle have what HRex asks for

  @hrex-mm-6
  Scenario: The parts of a MemberBundle are about one Patient
    Given the exchange "bulk"
    Then the parts of every MemberBundle name its MemberPatient

  @pdex-137
  Scenario: Both operations are waited for at the address that was told
    Given the exchange "bulk-waits"
    Then the status of both kick-offs is asked for where it was told
    And the records of the matched members are received

  @bulk-status-05 @http-04
  Scenario: Polls of a bulk match and of an export come no sooner than they were told to
    Given the exchange "bulk-waits"
    Then no poll comes sooner than the one before was told

  @pdex-138b
  Scenario: Group files go before the older form of the answer
    Given the exchange "bulk-both-forms"
    Then the Group files are fetched, and go before the older form

  @pdex-154b
  Scenario Outline: The three Groups are told apart (<name>)
    Given the exchange "<name>"
    Then what became of each member is known
    And the matched Group alone is exported

    Examples:
      | name        |
      | bulk        |
      | bulk-nobody |

  @pdex-154b
  Scenario: Where nobody is matched no Group is exported
    Given the exchange "bulk-nobody"
    Then no Group is exported

  @pdex-118
  Scenario: The export of a Group says its type
    Given the exchange "bulk"
    Then the export says a type

  @pdex-171
  Scenario: The export of a Group is from payer to payer
    Given the exchange "bulk"
    Then the export says that it is from payer to payer

  @pdex-139a
  Scenario: The export of a Group is posted, and is asynchronous
    Given the exchange "bulk"
    Then every "group-export" is posted
    And every "group-export" prefers an asynchronous answer

  @atr-export-params
  Scenario Outline: The parameters of the export have the types of ATR (<name>)
    Given the exchange "<name>"
    Then the parameters of the export are those of ATR

    Examples:
      | name               |
      | bulk               |
      | bulk-update        |
      | bulk-service-dates |

  @bulk-out-10
  Scenario: In bulk several files of a type are read, compressed and without a last newline
    Given the exchange "bulk-files"
    Then every file is asked for once
    And the records of the matched members are received

  @bulk-out-05
  Scenario: In bulk files at signed addresses are asked for without a token
    Given the exchange "bulk-signed-urls"
    Then no file is asked for with a token
    And the records of the matched members are received

  @bulk-out-20
  Scenario Outline: In bulk a file that is not whole is noticed (<name>)
    Given the exchange "<name>"
    Then the requesting payer does not claim to have a record

    Examples:
      | name                  |
      | bulk-truncated        |
      | bulk-truncated-groups |

  @bulk-out-20
  Scenario Outline: Problems that the other payer reports are not overlooked (<name>)
    Given the exchange "<name>"
    Then the error file is asked for
    And the requesting payer knows of the problems

    Examples:
      | name            |
      | error-file      |
      | bulk-error-file |

  @pdex-173 @pdex-175
  Scenario: A later export asks for what is new
    Given the exchange "bulk-update"
    Then the second export asks for what is new since the first

  @pdex-166 @pdex-174
  Scenario: An export is of the whole record, or of what is new
    Given the exchange "bulk-update"
    Then each export asks for the whole record, or for what is new

  @bulk-man-18
  Scenario: What the other payer has deleted is held no longer
    Given the exchange "bulk-update"
    Then what was deleted is held no longer, and what is new is held

  @pdex-revocation-requester
  Scenario: A member who has withdrawn is not asked for
    Given the exchange "bulk-withdrawn"
    Then nothing is asked for after the member has withdrawn

  @cms0057-request-1week
  Scenario: The record is asked for within a week of the opt-in
    Given the exchange "due"
    Then the record is asked for within a week of the opt-in

  @cms0057-concurrent-quarterly @pdex-concurrent-quarterly
  Scenario: With concurrent coverage the record is asked for each quarter
    Given the exchange "due"
    Then the record is asked for again within a quarter

  @pdex-180 @pdex-181
  Scenario: A filter is a search
    Given the exchange "bulk-service-dates"
    Then every filter is a search of a type that is asked for

  @pdex-182
  Scenario: A filter searches by what the profiles have a parameter for
    Given the exchange "bulk-service-dates"
    Then every filter searches by parameters of the profiles

  @bulk-param-16
  Scenario: A filter does not shape the result
    Given the exchange "bulk-service-dates"
    Then no filter shapes the result

  @pdex-typefilter-dos
  Scenario: Days of service are bounded by a filter
    Given the exchange "bulk-service-dates"
    Then the days of service are bounded by a filter

  @bulk-param-17
  Scenario: A filter that was not applied is lived with
    Given the exchange "bulk-service-dates"
    Then the records of the matched members are received

  @bulk-man-25
  Scenario: A manifest in pages is read to its end
    Given the exchange "manifest-pages"
    Then the manifest's pages are all read, and every file is asked for once

  @bulk-out-07 @bulk-out-08
  Scenario Outline: Addresses that have ended lose nothing unnoticed (<name>)
    Given the exchange "<name>"
    Then the requesting payer has every file, or does not claim to have a record

    Examples:
      | name          |
      | expired-links |
      | expired-files |

  @pdex-73
  Scenario: Where a submitted coverage has an identifier, it is the member's
    Given the exchange "bulk"
    Then every identifier of a submitted coverage is that of a member

  @pdex-141 @pdex-145
  Scenario: Where the new coverage is submitted, it is the asking payer's
    Given the exchange "bulk"
    Then every new coverage is paid by the asking payer

  @pdex-178
  Scenario: The types that are asked for are types of FHIR
    Given the exchange "bulk-service-dates"
    Then every type that is asked for is one of FHIR
