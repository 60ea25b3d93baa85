Feature: Scopes
  What a scope opens, and that it opens no more.

  @scope-10
  Scenario: A scope with a query opens what matches the query
    When the "Observation" of "unique" is searched with a token for "category=laboratory"
    Then every resource found has the "category" "laboratory"

  @pdex-219
  Scenario: A token for prior authorizations opens no claim
    When the "ExplanationOfBenefit" of "prior-authorizations" is searched with a token for "use=preauthorization"
    Then every resource found has the "use" "preauthorization"

  @pdex-scope-bulk @pdex-scope-bulk-210 @scope-19
  Scenario: The scope of the bulk match is granted as the version spells it
    When a token for the bulk match is asked for
    Then that scope is granted

  @pdex-scope-bulk @pdex-scope-bulk-210
  Scenario: The bulk match is closed to a token for something else
    When a bulk match is asked for with a token for "system/Patient.rs"
    Then the answer has status 401 or 403

  @scope-18 @pdex-scope-group
  Scenario: The export of a Group is closed to a token that opens no Group
    When the matched Group is exported with a token for "system/Patient.rs"
    Then the answer has status 401 or 403

  @pdex-224
  Scenario: The identifier of a match leads to a token for the member
    When a token is asked for with the identifier of the match of "unique"
    Then the answer has status 200

  @scope-12
  Scenario: A batch opens no more than its parts
    When a batch asks for the member's Patient and for one who was never matched
    Then the entry of the one who was never matched is refused
