Feature: Isolation
  Another payer, registered as well as this one, reaches nothing that this one's matches opened.

  @pdex-01 @hrex-sec-20
  Scenario Outline: Another client does not reach a member's record
    When another client asks for "<place>"
    Then it is out of reach

    Examples:
      | place                                 |
      | the Patient                           |
      | everything of the member              |
      | a search of the member's claims       |
      | the Provenance of the member's record |
      | a resource of the record              |
      | a new export of the member            |

  @pdex-186 @pdex-185 @bulk-status-17
  Scenario Outline: Another client does not reach an export
    When another client asks for "<place>"
    Then it is out of reach

    Examples:
      | place                    |
      | the status of the export |
      | a file of the export     |

  @bulk-del-03 @bulk-status-17
  Scenario: Another client does not end an export
    When another client deletes a new export
    Then it is out of reach
    And the export is still there for the first client

  @hrex-sec-20 @pdex-223
  Scenario: Another client gets no token for the member
    When another client asks for a token for the member
    Then no token is given

  @pdex-161 @hrex-sec-20
  Scenario: Another client does not read a Group
    When another client asks for "the Group"
    Then it is out of reach

  @pdex-161
  Scenario: Another client does not find a Group
    When another client searches Groups
    Then no Group of the first client is found

  @scope-17
  Scenario: Another client does not export a Group
    When another client asks for "a new export of the Group"
    Then the answer has status 403 or 404
    And the answer is an OperationOutcome

  @oo-03
  Scenario Outline: A refusal does not tell what others have
    When another client asks for what does not exist and for "<place>"
    Then both answers have the same status and issues

    Examples:
      | place                     |
      | the Patient               |
      | the status of the export  |
      | the Group                 |
      | a new export of the Group |
