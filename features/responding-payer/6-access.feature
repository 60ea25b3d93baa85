Feature: Access
  What one member's token opens, and what it does not.

  @pdex-213 @pdex-218 @search-11
  Scenario: A token for one member does not search another's record
    When the record of "prior-authorizations" is searched with the token of "unique"
    Then the answer holds no resource of a member

  @pdex-223 @pdex-186
  Scenario: A token for one member does not export another's record
    When the record of "prior-authorizations" is exported with the token of "unique"
    Then the answer has status 401 or 403 or 404

  @ev-08 @pdex-213
  Scenario: A token for one member does not fetch everything of another
    When everything of "prior-authorizations" is asked for with the token of "unique"
    Then the answer has status 401 or 403 or 404

  @pdex-01
  Scenario: A member who was never matched is out of reach
    When the record of a member who was never matched is asked for
    Then the answer has status 403 or 404
    And the answer holds no resource of a member

  @oo-03
  Scenario: A refusal does not tell whether a record exists
    When a member who was never matched and one who does not exist are asked for
    Then both answers are the same

  @scope-13
  Scenario: A type outside the scope fails the kick-off
    When an export of "Observation" is started with a token for "system/Patient.rs"
    Then the answer is a refusal with an OperationOutcome

  @scope-16 @pdex-217
  Scenario: A token for some types exports those types only
    When all is exported with a token for "system/Patient.rs"
    Then the files hold resources of the types "Patient" only

  @pdex-token-consent-recheck @needs-withdraw-consent
  Scenario: A withdrawn consent gives no token for the member
    Given the match of the request "withdrawn-later"
    When the consent of "withdrawn-later" is withdrawn and a token for the member is asked for
    Then the answer has status 400 or 401 or 403

  @pdex-156 @pdex-167 @needs-withdraw-consent
  Scenario: A consent withdrawn after the match closes the record
    Given the match of the request "withdrawn-later"
    When the consent of "withdrawn-later" is withdrawn and the record is exported
    Then no resource of the member is delivered
