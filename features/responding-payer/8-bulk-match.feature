Feature: Bulk match
  Many members at once: everybody lands in exactly one of three Groups, and one member's trouble is
  nobody else's.

  @pdex-192
  Scenario: Bulk exchange is declared
    When its bulk operations are looked for
    Then bulk member match is declared on Group

  @pdex-cap-ops
  Scenario: The bulk operations are declared as what they are
    When its bulk operations are looked for
    Then the bulk operations are declared with the canonicals of their guides

  @pdex-v200-single-only
  Scenario: A payer of PDex 2.0.0 declares no bulk exchange
    When its bulk operations are looked for
    Then no bulk operation is declared

  @pdex-op-url @pdex-136 @pdex-397 @bulk-p2p-01
  Scenario: A bulk match is accepted
    Given the bulk match of the known answers
    Then the kick-off has status 202
    And the kick-off names an absolute status URL

  @pdex-op-url-210
  Scenario: A bulk match of PDex 2.1.0 is accepted on Group
    Given the bulk match of the known answers
    Then the kick-off has status 202

  @pdex-129 @pdex-148 @pdex-149
  Scenario: A bulk match ends with a manifest and its files
    Given the bulk match of the known answers
    Then the last poll has the media type "application/json"
    And every file was downloaded whole
    And every line of every file is a resource

  @pdex-out-group-ndjson
  Scenario: The result is told by Groups
    Given the bulk match of the known answers
    Then the result is told by Group files

  @pdex-v210-params-response
  Scenario: The result of PDex 2.1.0 is told by an envelope
    Given the bulk match of the known answers
    Then the result is told by a Parameters envelope

  @pdex-399 @pdex-prof-out
  Scenario: The result has the shape of the guide
    Given the bulk match of the known answers
    Then a Parameters envelope, where there is one, has the shape of the guide

  @pdex-138a
  Scenario: An envelope beside the Groups tells the same
    Given the bulk match of the known answers
    Then a Parameters envelope, where there is one, tells the same members

  @pdex-154b
  Scenario: Every member lies where the truth table says
    Given the bulk match of the known answers
    Then every member lies in the Group that the truth table says

  @pdex-154a
  Scenario: One member's consent is nobody else's
    Given the bulk match of the known answers
    Then members with a good consent lie in the Group of matched members all the same

  @pdex-consent-not-nomatch
  Scenario: A consent that cannot be honoured is no missing match
    Given the bulk match of the known answers
    Then members whose consent cannot be honoured lie in the Group of constrained members

  @pdex-bucket-exclusive
  Scenario: Nobody is lost, and nobody is told twice
    Given the bulk match of the known answers
    Then every submitted member lies in exactly one Group

  @pdex-154 @pdex-155
  Scenario Outline: The policy decides by what the payer can do: <request>
    Given the bulk match of the request "<request>"
    Then every member lies in the Group that the truth table says

    Examples:
      | request          |
      | sensitive-held   |
      | sensitive-agreed |
      | unique-sensitive |

  @pdex-matched-always
  Scenario: Matched members are told even when there are none
    Given the bulk match of the unknown members
    Then there is a Group of matched members
    And every member lies in the Group that the truth table says

  @pdex-nomatch-conditional
  Scenario: The other Groups are told only when they hold somebody
    Given the bulk match of the matched members
    Then there is a Group of matched members
    And there is no other Group

  @pdex-193
  Scenario: A bulk match may be of one member
    Given the bulk match of one member
    Then every member lies in the Group of matched members

  @pdex-150 @pdex-151 @pdex-152
  Scenario: The submitted Patient comes back unchanged
    Given the bulk match of the known answers
    Then the submitted Patients are contained unchanged

  @pdex-151a
  Scenario: What may not be contained is taken out
    Given the bulk match of a member with extras
    Then what may not be contained is taken out of the Patient, and nothing else

  @pdex-153
  Scenario: A person with two cards is told apart by the card
    Given the bulk match of a member with two cards
    Then each entry tells the coverage it is about

  @pdex-154c
  Scenario: Why a consent cannot be honoured is not told
    Given the bulk match of the known answers
    Then no reason is told for a consent that cannot be honoured

  @pdex-prof-group-code
  Scenario: Groups are known by their code
    Given the bulk match of the known answers
    Then every Group has a code of the guide

  @pdex-prof-group-type
  Scenario: Groups are of actual persons
    Given the bulk match of the known answers
    Then every Group is one of actual persons

  @pdex-prof-group-manager
  Scenario: Groups are managed by an Organization
    Given the bulk match of the known answers
    Then every Group is managed by an Organization, if by anybody

  @pdex-prof-group-ext
  Scenario: Entries lead back to what was submitted
    Given the bulk match of the known answers
    Then every entry points at the submitted Patient

  @pdex-prof-group-memberref
  Scenario: Entries name whom they are about
    Given the bulk match of the known answers
    Then matched entries name the payer's Patient, and the others the submitted one

  @pdex-prof-group-characteristic
  Scenario: The matched Group says for whom it is
    Given the bulk match of the known answers
    Then the matched Group says for whom it is and since when

  @pdex-bulk-badbundle-422
  Scenario Outline: A bulk match is refused <flaw>
    When a bulk match is asked for <flaw>
    Then the answer is a refusal with an OperationOutcome

    Examples:
      | flaw                                    |
      | without MemberPatient                   |
      | without CoverageToMatch                 |
      | without Consent                         |
      | without any MemberBundle                |
      | with the parameters of a single match   |
      | with a Bundle as its body               |

  @pdex-143 @bulk-p2p-03
  Scenario: The bulk match is closed without a token
    When a bulk match is asked for without a token
    Then the answer has status 401 or 403

  @bulk-p2p-03
  Scenario: The bulk match is closed to a token for data only
    When a bulk match is asked for with a token for data only
    Then the answer has status 401 or 403
