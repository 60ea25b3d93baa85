Feature: Published keys
  A client's keys are fetched from the URL it registered, kept as long as it allows, and no longer.

  @smart-reg-11
  Scenario: A key set is asked for by GET, as JSON
    Given a key set that may not be kept
    When a token is asked for with the key of the set
    Then the answer has status 200
    And the key set was asked for by GET, as JSON

  @jwk-01
  Scenario: What a key set holds besides is passed over
    Given a key set that holds what nobody knows
    When a token is asked for with the key of the set
    Then the answer has status 200

  @smart-jwt-04
  Scenario: The registered URL is taken as the key URL of an assertion
    Given a key set that may not be kept
    When a token is asked for with the key of the set
    And a token is asked for with the URL of the set as jku
    Then the answer has status 200

  @smart-reg-09
  Scenario: A key that was taken out counts no longer
    Given a key set that may not be kept
    When a token is asked for with the key of the set
    And the key is replaced by another
    And a token is asked for with the replaced key
    Then the token request is refused as "invalid_client"

  @smart-reg-09
  Scenario: A new key counts once the old set may no longer be kept
    Given a key set that may not be kept
    When a token is asked for with the key of the set
    And the key is replaced by another
    And a token is asked for with the key of the set
    Then the answer has status 200

  @smart-reg-10
  Scenario: A key set is kept while it may be
    Given a key set that may be kept for a minute
    When 10 tokens are asked for with the key of the set
    Then the answer has status 200
    And the key set was not asked for each time
