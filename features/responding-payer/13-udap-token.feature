Feature: UDAP authorization
  A token for a registered certificate and a stated purpose, and nothing for anybody else.

  @udap-jwt-02 @udap-b2b-06
  Scenario: An assertion by RS256 with the B2B extension is given a token
    When a token is asked for by UDAP with RS256
    Then the answer has status 200
    And "access_token" is text that is not empty

  @udap-jwt-03
  Scenario: Each algorithm that is advertised is taken
    When a token is asked for by UDAP with each other algorithm that is advertised and at hand
    Then the answer has status 200

  @udap-tok-07
  Scenario: A token by UDAP lives an hour at most
    When a token is asked for by UDAP
    Then "expires_in" is at most 3600

  @udap-tok-09
  Scenario: No refresh token comes with UDAP's client credentials
    When a token is asked for by UDAP
    Then "refresh_token" is absent

  @udap-tok-06
  Scenario Outline: No token is given by UDAP to an assertion whose <flaw>
    When a token is asked for by UDAP with an assertion whose <flaw>
    Then the token request is refused as "invalid_client"

    Examples:
      | flaw                               |
      | issuer is the client's URI         |
      | subject is another than its issuer |
      | audience is another address        |
      | audience is missing                |
      | expiry is past                     |
      | expiry is missing                  |
      | date of issue is missing           |
      | date of issue is tomorrow          |
      | life is longer than five minutes   |
      | jti is missing                     |
      | signature is by another key        |
      | content was altered                |
      | algorithm is none                  |
      | algorithm is HS256                 |
      | certificate is left out            |
      | certificate is in PEM              |
      | certificates are in another order  |

  @udap-tok-06
  Scenario: An assertion by UDAP is good for one use
    When a token is asked for by UDAP twice with the same assertion
    Then the token request is refused as "invalid_client"

  @udap-tok-06
  Scenario: A client that never registered gets no token by UDAP
    When a token is asked for by UDAP by a client that never registered
    Then the token request is refused as "invalid_client"

  @udap-tok-06
  Scenario: A client id beside UDAP's assertion has to be the same
    When a token is asked for by UDAP with another client id beside the assertion
    Then the token request is refused as "invalid_client"

  @udap-jwt-08
  Scenario Outline: No token is given by UDAP to a client whose <flaw>
    When a token is asked for by UDAP with an assertion whose <flaw>
    Then the token request is refused as "invalid_client"

    Examples:
      | flaw                                   |
      | certificate is self-signed             |
      | certificate is by an unknown authority |
      | certificate has expired                |
      | certificate is not valid yet           |
      | certificate was revoked                |
      | certificate may not sign               |
      | certificate has a short key            |

  @udap-reg-26
  Scenario Outline: A client is known by its certificate, not when the <flaw>
    When a token is asked for by UDAP with an assertion whose <flaw>
    Then the token request is refused as "invalid_client"

    Examples:
      | flaw                                |
      | certificate names another client    |
      | certificate is by another community |

  @udap-reg-26
  Scenario: A renewed certificate of the same client is taken
    When a token is asked for by UDAP with a renewed certificate
    Then the answer has status 200

  @udap-jwt-07
  Scenario: An audience that differs by a slash is another one
    When a token is asked for by UDAP with an audience that differs by a slash
    Then the token request is refused as "invalid_client"

  @udap-b2b-06
  Scenario: The B2B extension is needed where it is required
    When a token is asked for by UDAP without the extension
    Then the token request is refused as "invalid_request, invalid_client, invalid_grant"

  @udap-b2b-06
  Scenario Outline: The B2B extension is refused when its <flaw>
    When a token is asked for by UDAP though the <flaw> in the extension
    Then the token request is refused as "invalid_request, invalid_client, invalid_grant"

    Examples:
      | flaw                            |
      | version is a number             |
      | version is another              |
      | organization is missing         |
      | organization is no URI          |
      | purpose is missing              |
      | purpose is a text               |
      | purpose is empty                |
      | subject has an id and no name   |
      | consent reference has no policy |

  @udap-smart-01
  Scenario: A client that registered by UDAP authenticates by UDAP
    When a registered client asks as SMART has it, without a certificate
    Then the token request is refused as "invalid_client, invalid_request"

  @udap-scope-01
  Scenario: The granted scope is told where it is not what was asked for
    When a token is asked for by UDAP with one scope that is known and one that is not
    Then the scope that is granted is told

  @udap-scope-03
  Scenario: One unknown scope among known ones is no error of scope
    When a token is asked for by UDAP with one scope that is known and one that is not
    Then the refusal is not about scope

  @udap-scope-02
  Scenario: A wildcard that is not advertised is refused
    When a token is asked for by UDAP with a wildcard that is not advertised
    Then the token request is refused as "invalid_scope"
