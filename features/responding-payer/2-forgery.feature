Feature: Forgery
  What a forger would try at the token endpoint, and with tokens: none of it opens anything.

  @smart-jwt-13 @smart-jwt-17
  Scenario Outline: An assertion is refused that <forgery>
    When a token is asked for with an assertion that "<forgery>"
    Then the token request is refused as "invalid_client, invalid_request"

    Examples:
      | forgery                                    |
      | expires in ten minutes                     |
      | expires at a text                          |
      | expires at a list                          |
      | expires at null                            |
      | is for the FHIR base                       |
      | is for a place below the token endpoint    |
      | is for the token endpoint of another host  |
      | is for the beginning of the token endpoint |
      | is for nobody                              |
      | is for an object                           |
      | has no issuer                              |
      | has no subject                             |
      | has an issuer with a space                 |
      | has an issuer in other case                |
      | has a list of issuers                      |
      | has an empty jti                           |
      | has a number as jti                        |
      | has a list as jti                          |
      | has no claims                              |
      | is signed with the public key as a secret  |
      | is signed with the public JWK as a secret  |
      | is signed with the client id as a secret   |
      | is signed with an empty secret             |
      | is signed by a key of another kind         |
      | is signed by a key of 1,024 bits           |
      | has a signature of zeros                   |
      | has claims changed after it was signed     |
      | has a header changed after it was signed   |
      | names its algorithm nOnE                   |
      | names no algorithm                         |
      | brings its own key                         |
      | brings its own certificate                 |
      | names a path as key id                     |
      | names a piece of SQL as key id             |
      | names an empty list as critical            |
      | is written as JSON                         |
      | has a fourth part                          |
      | has five parts                             |
      | has two parts                              |
      | is no JWT                                  |
      | is of dots                                 |
      | holds control characters                   |
      | is signed over other text                  |
      | is a hundred kilobytes of padding          |

  @smart-use-02 @http-02
  Scenario Outline: A token is refused that <forgery>
    When data is asked for with a token that "<forgery>"
    Then the answer has status 400 or 401
    And the answer holds no resource of a member

    Examples:
      | forgery                          |
      | is empty                         |
      | lacks its last third             |
      | has another letter in its middle |
      | is written twice                 |
      | is written backwards             |
      | is quoted                        |
      | has a word behind it             |
      | comes under the scheme Basic     |
      | comes under the scheme Token     |
      | comes without a scheme           |
      | is the client's id               |
      | is a client assertion            |
      | is an unsigned JWT               |
      | is a JWT of the client's own     |
      | is a wildcard                    |
      | is null                          |
      | is a piece of SQL                |

  @smart-rsp-09
  Scenario Outline: A token request is refused that <flaw>
    When a token is asked for by a request that "<flaw>"
    Then the answer has status 400 or 401 or 405 or 415
    And no access token is in the answer

    Examples:
      | flaw                                |
      | is a GET                            |
      | is JSON                             |
      | has everything in its address       |
      | has no assertion                    |
      | has no assertion type               |
      | has no grant type                   |
      | has a secret instead                |
      | has the assertion twice             |
      | asks by an authorization code       |
      | asks by a refresh token             |
