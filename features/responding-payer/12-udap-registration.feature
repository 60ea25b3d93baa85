Feature: UDAP registration
  A client registers by its certificate, changes and cancels its registration, and nobody else does.

  @udap-reg-15 @dcr-01
  Scenario: A client registers
    When a client registers by UDAP
    Then the answer has status 201
    And the registration is accepted
    And the statement and what it asks for are told back
    And the header "Cache-Control" contains "no-store"

  @udap-reg-16
  Scenario: The answer to a registration holds what was assigned alone
    When the registered client is described
    Then nothing is told that was not assigned, and no claim of the JWT

  @dcr-03
  Scenario: What is signed wins over what stands beside it
    When a client registers with another name beside the statement
    Then the registration is accepted
    And the name is that of the statement

  @dcr-04
  Scenario: What a payer does not know of a client is left aside
    When a client registers with something unknown beside the statement, and in it
    Then the registration is accepted

  @udap-reg-18
  Scenario: A certification that nobody knows is left aside
    When a client registers with a certification that nobody knows
    Then the registration is accepted

  @udap-reg-19
  Scenario: Certifications are not required unless it is said
    When a client registers without any certification
    Then the registration is accepted

  @udap-reg-14 @udap-reg-17 @dcr-02
  Scenario Outline: A software statement is refused whose <flaw>
    When a software statement is sent whose <flaw>
    Then the registration is refused for its statement

    Examples:
      | flaw                              |
      | issuer is somebody else           |
      | subject is another than its issuer |
      | audience is another address       |
      | audience is missing               |
      | expiry is past                    |
      | expiry is missing                 |
      | date of issue is missing          |
      | date of issue is tomorrow         |
      | life is longer than five minutes  |
      | jti is missing                    |
      | signature is by another key       |
      | content was altered               |
      | algorithm is none                 |
      | algorithm is HS256                |
      | certificate is left out           |
      | certificate is in PEM             |
      | certificates are in another order |

  @udap-reg-14 @udap-reg-17 @dcr-02
  Scenario: A software statement is good for one use
    When a software statement is sent twice
    Then the registration is refused for its statement

  @udap-jwt-08
  Scenario Outline: No client registers whose <flaw>
    When a software statement is sent whose <flaw>
    Then the registration is refused for its statement

    Examples:
      | flaw                                   |
      | certificate is self-signed             |
      | certificate is by an unknown authority |
      | certificate has expired                |
      | certificate is not valid yet           |
      | certificate was revoked                |
      | certificate may not sign               |
      | certificate has a short key            |

  @udap-reg-14 @udap-reg-17 @dcr-02
  Scenario Outline: A client is refused when <flaw>
    When a client registers though <flaw>
    Then the registration is refused for what it asks

    Examples:
      | flaw                               |
      | it asks for two grant types        |
      | its grant type is unknown          |
      | it asks for refresh tokens         |
      | it would authenticate by a secret  |
      | its contacts have no mail address  |
      | its contact is a bare mail address |
      | it has no name                     |
      | it asks for no scope               |
      | no scope it asks for is known      |

  @udap-reg-17 @dcr-02
  Scenario Outline: A registration is refused when <flaw>
    When a client registers though <flaw>
    Then the registration is refused with an error of registrations

    Examples:
      | flaw                     |
      | udap is missing          |
      | udap is "2"              |
      | the statement is missing |

  @dcr-01
  Scenario: A registration is JSON
    When a client registers though the body is a form
    Then the request is refused before anything is registered

  @udap-reg-21
  Scenario: A changed registration keeps its client id
    When a registered client registers again for one scope of those it has
    Then the client id is the one from before

  @udap-reg-20
  Scenario: A scope that is registered no more is granted no more
    When a registered client registers again for one scope of those it has
    And a token is asked for with the scope that was dropped
    Then no token is given for it

  @udap-reg-22
  Scenario: A client id that was replaced counts no more
    When a token is asked for with the client id from before
    Then the token request is refused as "invalid_client"

  @udap-reg-23
  Scenario: No community overwrites what another has registered
    When a token is asked for by UDAP
    And the client registers with a certificate of another community
    And a token is asked for with a scope of the first registration
    Then the answer has status 200

  @udap-reg-24
  Scenario: A registration can be cancelled
    When a registered client cancels its registration
    Then the answer names no grant type

  @udap-reg-24
  Scenario: A client that is cancelled gets no token
    When a registered client cancels its registration
    And a token is asked for by the client that is cancelled
    Then the token request is refused as "invalid_client"
