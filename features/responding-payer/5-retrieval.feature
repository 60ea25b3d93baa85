Feature: Retrieval
  The same record at once: everything, by search, and one resource at a time.

  @pdex-212 @ev-01
  Scenario: Everything of a member is a searchset with the Patient
    Given everything of the request "unique"
    Then each page is a searchset Bundle
    And the pages hold the Patient who was meant

  @ev-02 @pdex-392 @ev-03 @pdex-393
  Scenario: Everything holds all that the member's record has
    Given everything of the request "unique"
    Then the pages hold every resource that the truth table expects

  @pdex-214
  Scenario: Everything holds claims and prior authorizations alike
    Given everything of the request "prior-authorizations"
    Then the pages hold claims and prior authorizations

  @ev-09
  Scenario: Everything can be asked for by POST
    When everything of the request "unique" is asked for by POST
    Then the answer is a searchset Bundle

  @ev-08
  Scenario: Everything of somebody unknown is refused
    When everything of a Patient who does not exist is asked for
    Then the answer has status 403 or 404
    And the answer holds no resource of a member

  @search-01 @pdex-99 @pdex-211
  Scenario Outline: A search for <type> finds what the record has
    When "<type>?patient={member}&_count=500" is searched in the record of "unique"
    Then the answer is a searchset Bundle
    And the matches are the resources of type "<type>" that the truth table expects

    Examples:
      | type                 |
      | Condition            |
      | Observation          |
      | Encounter            |
      | Immunization         |
      | MedicationRequest    |
      | Procedure            |
      | ExplanationOfBenefit |
      | Coverage             |

  @search-02
  Scenario: A search tells what it used
    When "Condition?patient={member}" is searched in the record of "unique"
    Then the Bundle's self link has the parameter "patient"

  @search-03 @search-05
  Scenario: A page holds no more than was asked for, and links to the next
    When "Observation?patient={member}&_count=2" is searched in the record of "unique"
    Then the Bundle holds at most 2 matches
    And the next link leads to other matches

  @search-06
  Scenario: Included resources are told apart
    When "Condition?patient={member}&_revinclude=Provenance:target" is searched in the record of "unique"
    Then each entry says whether it is a match or included

  @pdex-12 @pdex-87
  Scenario: Provenance comes with what is searched
    When "Condition?patient={member}&_revinclude=Provenance:target" is searched in the record of "unique"
    Then the Bundle holds Provenance for every match

  @search-07
  Scenario: A parameter nobody knows is refused when asked strictly
    When "Condition?patient={member}&nonsense=1" is searched strictly in the record of "unique"
    Then the answer is a refusal with an OperationOutcome

  @search-08
  Scenario: A date that is none is refused
    When "Condition?patient={member}&onset-date=yesterday" is searched in the record of "unique"
    Then the answer is a refusal with an OperationOutcome

  @search-10
  Scenario: A search can be posted
    When a search for "Condition" is posted in the record of "unique"
    Then the answer has status 200 or 405

  @pdex-cap-search-shall
  Scenario Outline: The search "<query>" answers
    When "<query>" is searched in the record of "unique"
    Then the answer is a searchset Bundle

    Examples:
      | query                                                        |
      | Patient?_id={member}                                         |
      | ExplanationOfBenefit?patient={member}&service-date=ge2000    |
      | ExplanationOfBenefit?patient={member}&_lastUpdated=ge2000    |
      | DocumentReference?patient={member}                           |
      | Practitioner?name=a                                          |
      | Organization?name=a                                          |
      | Location?address=a                                           |

  @rest-01
  Scenario: A resource is read by its id
    When the Patient of "unique" is read
    Then the answer has status 200
    And the answer is a "Patient" resource

  @rest-01
  Scenario: A resource that does not exist is not found
    When a Condition that does not exist is read in the record of "unique"
    Then the answer has status 404

  @rest-03
  Scenario: A version is answered, or not found
    When a version of the Patient of "unique" is read
    Then the answer has status 200 or 404 or 410
    And a refusal is an OperationOutcome

  @rest-02
  Scenario: A resource that is read has a version tag
    When the Patient of "unique" is read
    Then the header "ETag" contains "W/"

  @conneg-02
  Scenario: XML is not served
    When the Patient of "unique" is read as "application/fhir+xml"
    Then the answer has status 406 or 415

  @pdex-cap-docref
  Scenario: Documents are found with docref
    When "DocumentReference/$docref?patient={member}" is searched in the record of "unique"
    Then the answer is a searchset Bundle

  @http-03
  Scenario: A method that is not allowed is told which are
    When the SMART configuration is sent a DELETE
    Then the answer has status 405 or 404
    And an answer with status 405 says that GET is allowed
