Feature: UDAP of a requesting payer
  It believes what a community vouches for, registers by itself, and says who asks and why.

  @udap-disc-23
  Scenario: The community is named in discovery
    Given the exchange "udap"
    Then the community is asked for by its URI

  @udap-disc-03
  Scenario: Where there is no UDAP, nothing is registered
    Given the exchange "udap-absent"
    Then nothing is registered and no token is asked for
    And the requesting payer does not claim to have a record

  @udap-disc-04
  Scenario: A profile that is not offered is not used
    Given the exchange "udap-nothing-offered"
    Then nothing is registered and no token is asked for
    And the metadata was read

  @udap-disc-20
  Scenario Outline: Metadata that cannot be relied on ends the exchange (<flaw>)
    Given the exchange "udap-<flaw>"
    Then the metadata was read
    And nothing is registered and no token is asked for
    And the requesting payer does not claim to have a record

    Examples:
      | flaw                |
      | another-key         |
      | unknown-authority   |
      | expired-certificate |
      | revoked-certificate |
      | other-name          |
      | other-issuer        |
      | other-subject       |
      | expired-metadata    |
      | long-lived-metadata |
      | no-jti              |
      | unsigned            |

  @udap-disc-20
  Scenario: What is signed goes before what is not
    Given the exchange "udap-endpoints-differ"
    Then credentials go to the signed addresses alone, or nowhere

  @udap-reg-25
  Scenario: The client registers before it asks for a token
    Given the exchange "udap"
    Then the registration comes before the first token request
    And every assertion is by the client id that was assigned
    And the record is received

  @udap-reg-13
  Scenario: The registration has the form of UDAP
    Given the exchange "udap"
    Then every registration has the form of UDAP

  @udap-reg-01
  Scenario: The statement is by a URI of its certificate
    Given the exchange "udap"
    Then every statement is by a URI of its certificate

  @udap-reg-02
  Scenario: The statement is about its issuer
    Given the exchange "udap"
    Then every statement is about its issuer

  @udap-reg-03
  Scenario: The statement is for the registration endpoint
    Given the exchange "udap"
    Then every statement is for the address it is posted to

  @udap-reg-04
  Scenario: The statement is good for five minutes at most
    Given the exchange "udap"
    Then every statement is good for five minutes at most

  @udap-reg-05
  Scenario: The statement has a nonce
    Given the exchange "udap"
    Then no statement has a jti twice

  @udap-reg-06
  Scenario: The statement names the client
    Given the exchange "udap"
    Then every statement has "client_name"

  @udap-reg-07
  Scenario: The statement tells whom to write to
    Given the exchange "udap"
    Then every statement has contacts

  @udap-reg-08
  Scenario: The statement is for client credentials alone
    Given the exchange "udap"
    Then every statement has "grant_types" "client_credentials"

  @udap-reg-09
  Scenario: The statement of a back-end client names no redirects
    Given the exchange "udap"
    Then every statement names no redirects

  @udap-reg-10
  Scenario: The statement says how the client authenticates
    Given the exchange "udap"
    Then every statement has "token_endpoint_auth_method" "private_key_jwt"

  @udap-reg-11
  Scenario: The statement says which scopes are wanted
    Given the exchange "udap"
    Then every statement has "scope"

  @udap-reg-12
  Scenario: The statement is signed by the key of its certificate
    Given the exchange "udap"
    Then every statement is signed by its certificate

  @udap-jwt-01
  Scenario: The JWTs of UDAP are compact
    Given the exchange "udap"
    Then every statement is a compact JWS
    And every assertion is a compact JWS

  @udap-jwt-04
  Scenario: The JWTs of UDAP carry their certificates
    Given the exchange "udap"
    Then every statement carries its certificates
    And every assertion carries its certificates
    And every assertion is signed by its certificate

  @udap-tok-01
  Scenario: The token request is one of UDAP
    Given the exchange "udap"
    Then every token request is one of UDAP

  @udap-tok-02
  Scenario: The token request holds no secret
    Given the exchange "udap"
    Then no token request holds a secret

  @udap-tok-03
  Scenario: The assertion of UDAP is by the client and for the token endpoint
    Given the exchange "udap"
    Then every assertion is by the client id that was assigned
    And every assertion is for the address it is posted to
    And no assertion has a jti twice

  @udap-tok-04
  Scenario: The assertion of UDAP is good for five minutes at most
    Given the exchange "udap"
    Then every assertion is good for five minutes at most

  @udap-tok-05
  Scenario: The assertion carries the B2B extension
    Given the exchange "udap"
    Then every assertion carries the B2B extension

  @udap-b2b-01
  Scenario: The B2B extension has its version
    Given the exchange "udap"
    Then every assertion has version 1 of the extension

  @udap-b2b-02
  Scenario: The B2B extension names the organization
    Given the exchange "udap"
    Then every assertion names its organization by a URI

  @udap-b2b-03
  Scenario: The B2B extension tells the purposes
    Given the exchange "udap"
    Then every assertion tells its purposes

  @udap-b2b-04
  Scenario: The B2B extension names a subject whole, or none
    Given the exchange "udap"
    Then every assertion names a subject whole, or none

  @udap-b2b-05
  Scenario: The B2B extension names a Consent with its policy, or none
    Given the exchange "udap"
    Then every assertion names a Consent with its policy, or none
