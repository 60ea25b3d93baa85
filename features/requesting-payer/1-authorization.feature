Feature: Authorization of a requesting payer
  It finds the token endpoint, proves who it is, and keeps its token to itself.

  @smart-disc-14
  Scenario: The token endpoint is discovered
    Given the exchange "plain"
    Then discovery comes before the first token request
    And every token request goes to the token endpoint

  @smart-disc-04
  Scenario: A relative token endpoint is resolved against the FHIR base, or refused
    Given the exchange "relative-token-endpoint"
    Then no call goes to an address that was never told

  @smart-tok-01
  Scenario: The token request is a posted form
    Given the exchange "plain"
    Then every token request is a posted form

  @smart-tok-02 @pdex-142
  Scenario: The grant is that of client credentials
    Given the exchange "plain"
    Then every token request has "grant_type" "client_credentials"

  @smart-tok-03
  Scenario: The scope is always sent
    Given the exchange "plain"
    Then every token request has "scope"

  @scope-05
  Scenario: Scopes over resources are those of a system
    Given the exchange "plain"
    Then no token request asks for scopes of a user or a patient

  @scope-11 @udap-scope-04
  Scenario Outline: Another scope than was asked for is lived with (<name>)
    Given the exchange "<name>"
    Then the record is received

    Examples:
      | name           |
      | narrower-scope |
      | wider-scope    |

  @pdex-201 @pdex-222 @conflict-member-token
  Scenario: The token for data is asked for in the name of the member
    Given the exchange "plain"
    Then the token request after the match names the member

  @smart-tok-04
  Scenario: The assertion type is that of RFC 7523
    Given the exchange "plain"
    Then every token request has the assertion type of RFC 7523

  @smart-tok-05 @pdex-142
  Scenario: The assertion is a compact JWS by the registered key
    Given the exchange "plain"
    Then every assertion is signed by the registered key

  @smart-jwt-01
  Scenario: The assertion names an algorithm that is offered
    Given the exchange "plain"
    Then every assertion has an algorithm that is offered

  @smart-jwt-02
  Scenario: The assertion names its key
    Given the exchange "plain"
    Then every assertion names the registered key

  @smart-jwt-03
  Scenario: The assertion says that it is a JWT
    Given the exchange "plain"
    Then every assertion has the type JWT

  @smart-jwt-07 @smart-jwt-08
  Scenario: The assertion is by the client and for the token endpoint
    Given the exchange "plain"
    Then every assertion is by the client and for the token endpoint

  @smart-jwt-09
  Scenario: The assertion is good for five minutes at most
    Given the exchange "plain"
    Then every assertion expires within five minutes

  @smart-jwt-10 @smart-jwt-16
  Scenario: Each assertion is used once
    Given the exchange "short-tokens"
    Then no assertion and no jti is sent twice

  @smart-rsp-11
  Scenario: What a token answer holds besides is left alone
    Given the exchange "token-extras"
    Then the record is received

  @smart-rsp-12
  Scenario: A token is renewed before it is of no use
    Given the exchange "short-tokens"
    Then tokens are renewed, and none is tried twice after its end
    And the record is received

  @smart-use-01
  Scenario: The token travels in the Authorization header
    Given the exchange "plain"
    Then every call for data carries its token as Bearer

  @http-09
  Scenario: No token stands in an address
    Given the exchange "plain"
    Then no address holds a token

  @smart-jwt-14
  Scenario Outline: The client can sign with either algorithm (<algorithm>)
    Given the exchange "<name>"
    Then every assertion is signed with "<algorithm>"
    And every assertion is signed by the registered key
    And the record is received

    Examples:
      | algorithm | name       |
      | RS384     | only-rs384 |
      | ES384     | only-es384 |

  @smart-tok-05
  Scenario: A new key is used once it is registered
    Given the exchange "rotated-key"
    Then every assertion is signed by the registered key

  @smart-jwt-02
  Scenario: A new key is named once it is registered
    Given the exchange "rotated-key"
    Then every assertion names the registered key

  @smart-use-03
  Scenario: What lies at another host is not asked for with a token
    Given the exchange "foreign-references"
    Then no call to another host than the payer's own carries a token

  @smart-reg-04
  Scenario: The keys are published by https, for anybody
    Given the exchange "published-keys"
    Then the key set is fetched by https and without authentication

  @smart-reg-05
  Scenario: The key set says for how long it may be kept
    Given the exchange "published-keys"
    Then the key set says for how long it may be kept

  @smart-reg-06
  Scenario: Published keys are whole, and public alone
    Given the exchange "published-keys"
    Then every published key is whole, named, and public alone
