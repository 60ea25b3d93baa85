Feature: Retrieval options
  What a payer may offer when a record is read, done right where it is offered.

  @ev-06
  Scenario: Everything of one type holds that type
    Given everything of the request "unique" with "_type=Condition" where that is taken
    Then the pages hold nothing but "Condition, Provenance"

  @ev-05
  Scenario: Everything since a moment to come is empty
    Given everything of the request "unique" with "_since=2099-01-01T00:00:00Z" where that is taken
    Then the pages hold nothing but "Patient, OperationOutcome"

  @ev-04
  Scenario: Everything of care to come holds no care of the past
    Given everything of the request "unique" with "start=2099-01-01" where that is taken
    Then the pages hold no "Encounter, Observation, Procedure, Immunization"

  @ev-07
  Scenario: Everything comes in pages as long as was asked for
    Given everything of the request "unique" with "_count=60" where that is taken
    Then no page holds more than 60 resources that match
    And the pages hold every resource that the truth table expects

  @ev-10
  Scenario: Everything may be asked for asynchronously
    When everything of the request "unique" is asked for asynchronously
    Then it is answered at once, or accepted with a place to ask

  @pdex-v200-everything-support
  Scenario: PDex 2.0.0 wishes for everything
    When the CapabilityStatement is read
    Then the operation "everything" of "Patient" is declared

  @search-09
  Scenario Outline: A search that cannot be run is refused (<query>)
    When "<query>" is searched strictly in the record of "unique"
    Then the answer is a refusal with an OperationOutcome

    Examples:
      | query                                  |
      | Nonsense?patient={member}              |
      | Condition?patient={member}&code:odd=1  |
      | Observation?patient={member}&date=zz99 |

  @rest-04
  Scenario: What has not changed need not be sent again
    When the Patient of "unique" is read again unless it has changed
    Then it is sent, or said not to have changed

  @rest-06
  Scenario: A server without versions tells none
    When the Patient of "unique" is read
    Then it tells no version where "Patient" has none

  @pdex-100 @pdex-388 @pdex-389
  Scenario: A version is read where versions are declared
    When the version of the Patient of "unique" is read where that is declared
    Then the answer has status 200
    And the answer is a "Patient" resource
