Feature: Authorization
  A token by a signed assertion, and nothing for anybody else.

  @smart-rsp-01 @pdex-189 @smart-jwt-15 @smart-jwt-05 @cms0057-authenticate
  Scenario: A good assertion is given a token
    When a token is asked for with a good assertion
    Then the answer has status 200
    And "access_token" is text that is not empty

  @smart-rsp-02
  Scenario: The token is a bearer token
    When a token is asked for with a good assertion
    Then "token_type" is "bearer" whatever the case

  @smart-rsp-03
  Scenario: The token's life is told in seconds
    When a token is asked for with a good assertion
    Then "expires_in" is a positive number

  @smart-rsp-04
  Scenario: The token lives no longer than five minutes
    When a token is asked for with a good assertion
    Then "expires_in" is at most 300

  @smart-rsp-05
  Scenario: The granted scope is told
    When a token is asked for with a good assertion
    Then "scope" is text that is not empty

  @smart-rsp-07
  Scenario: No refresh token comes with client credentials
    When a token is asked for with a good assertion
    Then "refresh_token" is absent

  @smart-rsp-08
  Scenario: The token answer may not be cached
    When a token is asked for with a good assertion
    Then the header "Cache-Control" contains "no-store"

  @smart-jwt-19
  Scenario: An audience in a list is understood
    When a token is asked for with an assertion whose audience is a list
    Then the answer has status 200

  @smart-jwt-13 @smart-jwt-17
  Scenario Outline: An assertion is refused whose <flaw>
    When a token is asked for with an assertion whose <flaw>
    Then the token request is refused as "invalid_client"

    Examples:
      | flaw                            |
      | expiry is past                  |
      | expiry is a day away            |
      | expiry is missing               |
      | audience is another server      |
      | audience is missing             |
      | issuer is unknown               |
      | subject is somebody else        |
      | signature is by another key     |
      | signature is cut off            |
      | algorithm is none               |
      | jti is missing                  |
      | validity begins tomorrow        |

  @jwk-02
  Scenario Outline: An assertion is refused for its form or curve where its <flaw>
    When a token is asked for with an assertion whose <flaw>
    Then the token request is refused as "invalid_client"

    Examples:
      | flaw                        |
      | signature is in DER         |
      | signature is by a P-256 key |

  @smart-jwt-06
  Scenario Outline: An assertion is refused whose key id is <flaw>
    When a token is asked for with an assertion whose key id is <flaw>
    Then the token request is refused as "invalid_client"

    Examples:
      | flaw    |
      | unknown |
      | missing |

  @smart-jwt-04
  Scenario: An assertion with a foreign key URL is refused
    When a token is asked for with an assertion whose jku is foreign
    Then the token request is refused as "invalid_client"

  @smart-jwt-18
  Scenario: An assertion with an unknown critical header is refused
    When a token is asked for with an assertion whose critical header is unknown
    Then the token request is refused as "invalid_client"

  @smart-jwt-11
  Scenario: An assertion is good for one use
    When a token is asked for twice with the same assertion
    Then the token request is refused as "invalid_client"

  @smart-jwt-12
  Scenario: A client id beside the assertion has to be the same
    When a token is asked for with another client id beside the assertion
    Then the token request is refused as "invalid_client"

  @smart-rsp-09
  Scenario: An unknown grant type is refused
    When a token is asked for with the field "grant_type" set to "password"
    Then the token request is refused as "unsupported_grant_type"

  @smart-rsp-09
  Scenario: An unknown assertion type is refused
    When a token is asked for with the field "client_assertion_type" set to "urn:example:other"
    Then the token request is refused as "invalid_request, invalid_client"

  @smart-rsp-10
  Scenario: A field sent twice is refused
    When a token is asked for with the field "grant_type" sent twice
    Then the token request is refused as "invalid_request"

  @pdex-scope-single
  Scenario: The scope of the match is the canonical of HRex
    When a token is asked for with the field "scope" set to "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match"
    Then the answer has status 200

  @scope-04
  Scenario: A scope that is asked for in the first syntax is granted in it
    When a token is asked for with the field "scope" set to "system/Patient.read"
    Then "scope" is "system/Patient.read"

  @scope-07
  Scenario: No more is granted than was asked for
    When a token is asked for with the field "scope" set to "system/Patient.rs"
    Then the grant is no wider than "system/Patient.rs"

  @scope-02
  Scenario Outline: Letters out of order or unknown widen nothing (<scope>)
    When a token is asked for with the field "scope" set to "<scope>"
    Then it is refused, or the letters granted are among "<letters>"

    Examples:
      | scope              | letters |
      | system/Patient.sr  | rs      |
      | system/Patient.rx  | r       |
      | system/Patient.xyz | none    |

  @scope-06
  Scenario: Nothing is granted that is not registered
    When a token is asked for with the field "scope" set to "system/*.cruds"
    Then the grant allows no writing

  @bulk-kickoff-18 @pdex-188
  Scenario: An export is not started without a token
    When an export is asked for without a token
    Then the answer has status 400 or 401 or 403

  @http-02 @pdex-cap-401
  Scenario Outline: Without a token <what> is refused
    When <what> is asked for without a token
    Then the answer has status 401
    And the header "WWW-Authenticate" contains "Bearer"

    Examples:
      | what          |
      | a member match |
      | a search      |

  @smart-use-02
  Scenario: A token that was never issued is refused
    When a search is asked for with a token that was never issued
    Then the answer has status 401

  @smart-use-02
  Scenario: A token in the address is refused
    When a search is asked for with the token in the address
    Then the answer has status 401

  @pdex-token-membermatch-only
  Scenario: The token of the match is for the match alone
    When data is asked for with the token of the match
    Then the answer has status 401 or 403 or 404

  @scope-08
  Scenario: A token for the match reads no data
    When data is asked for with the token of the match
    Then the answer has status 401 or 403 or 404
    And the answer holds no resource of a member

  @scope-01
  Scenario: The resource scopes that are granted are well formed
    When a token is asked for with the field "scope" set to "system/Patient.rs"
    Then every resource scope in "scope" is well formed

  @scope-03
  Scenario Outline: Read in the first syntax covers that a member is <way>
    When a member is <way> with a token for "system/Patient.read"
    Then the answer has status 200

    Examples:
      | way          |
      | read         |
      | searched for |

  @scope-09
  Scenario Outline: A token to <other> does not cover that a member is <way>
    When a member is <way> with a token for "<scope>"
    Then the answer has status 401 or 403
    And the answer holds no resource of a member

    Examples:
      | other  | way          | scope            |
      | read   | searched for | system/Patient.r |
      | search | read         | system/Patient.s |

  @intro-01
  Scenario: Introspection tells of a token that it is active
    When a token that was just issued is introspected
    Then the answer has status 200
    And the token is told as active

  @intro-02
  Scenario: Introspection tells of a token what was told at its issue
    When a token that was just issued is introspected
    Then its scope, client and expiry are those it was issued with

  @intro-03
  Scenario: A token that was never issued is inactive
    When a token that was never issued is introspected
    Then the token is told as inactive, and nothing else of it

  @intro-03
  Scenario: A token that was revoked is inactive
    When a token is revoked and introspected
    Then the token is told as inactive, and nothing else of it

  @intro-04
  Scenario: An access token is a way into introspection
    When a token is introspected with an access token, where that is not open to all
    Then the answer has status 200
