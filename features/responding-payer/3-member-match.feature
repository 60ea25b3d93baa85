Feature: Member match
  One member, or nobody; and nobody without a consent that can be honoured.

  @pdex-197 @pdex-199
  Scenario: A member is found by demographics, card and Consent
    Given the match of the request "unique"
    Then the answer has status 200
    And the answer is a "Parameters" resource

  @hrex-prof-mm-out
  Scenario: The answer holds the member identifier and nothing that does not belong there
    Given the match of the request "unique"
    Then the match answer has the shape of HRex

  @pdex-198
  Scenario: The answer holds the id of the Patient
    Given the match of the request "unique"
    Then the match answer holds a MemberId

  @hrex-prof-memberid-rest
  Scenario: The id of the answer leads to the member who was meant
    Given the match of the request "unique"
    Then the MemberId leads to the Patient who was meant

  @hrex-mm-8 @pdex-202
  Scenario: The identifier of the answer leads to one Patient
    Given the match of the request "unique"
    Then the identifier leads to the Patient who was meant

  @hrex-mm-9
  Scenario Outline: Nobody is found for <request>
    Given the match of the request "<request>"
    Then the match is refused and holds no member

    Examples:
      | request                |
      | unknown                |
      | wrong-card             |
      | stranger-on-known-card |
      | co-twins-card          |

  @hrex-mm-10
  Scenario: Several candidates are no match
    Given the match of the request "twins"
    Then the match is refused and holds no member

  @hrex-mm-8
  Scenario Outline: Each of two twins is found by an own card
    Given the match of the request "<request>"
    Then the identifier leads to the Patient who was meant

    Examples:
      | request     |
      | first-twin  |
      | second-twin |

  @hrex-mm-11 @pdex-203 @pdex-207 @pdex-consent-validity
  Scenario Outline: A consent is not honoured that is <flaw>
    Given the match of the request "<request>"
    Then the match is refused and holds no member

    Examples:
      | flaw                    | request                   |
      | expired                 | consent-expired-a         |
      | not yet valid           | consent-future-a          |
      | for another recipient   | consent-wrong-recipient-a |
      | of another discloser    | consent-wrong-discloser-a |
      | not active              | consent-inactive-a        |
      | about another person    | consent-other-patient-a   |

  @hrex-mm-12
  Scenario Outline: A refusal says why in an OperationOutcome: <request>
    Given the match of the request "<request>"
    Then the answer is an OperationOutcome

    Examples:
      | request           |
      | unknown           |
      | twins             |
      | consent-expired-a |

  @pdex-single-badbundle-422
  Scenario Outline: A match request is refused <flaw>
    When a match is asked for <flaw>
    Then the answer has status 400 or 422
    And the answer is an OperationOutcome

    Examples:
      | flaw                              |
      | without MemberPatient             |
      | without CoverageToMatch           |
      | without a birth date              |
      | without a family name             |
      | with a parameter nobody knows     |
      | with a Patient as the Coverage    |
      | with a reference to somebody else |
      | with a name of 100,000 letters    |

  @pdex-cap-status-codes @oo-02
  Scenario Outline: A body is refused that is <flaw>
    When a match is asked for with a body that is <flaw>
    Then the answer has status 400 or 415 or 422
    And the answer is an OperationOutcome

    Examples:
      | flaw              |
      | no JSON           |
      | a list            |
      | another resource  |
      | nested too deeply |
      | plain text        |

  @oo-01
  Scenario: An OperationOutcome has issues with severity and code
    Given the match of the request "unknown"
    Then the OperationOutcome has issues with severity and code

  @hrex-prof-mm-out-100
  Scenario: PDex 2.0.0 names the member by an identifier alone
    Given the match of the request "unique"
    Then the match answer holds a MemberIdentifier of type MB and nothing else
