Feature: Transport
  Members' data and tokens go over TLS that is good enough, and mutual TLS binds a token to a client.

  @tls-01
  Scenario Outline: An old version of TLS is refused
    Then a handshake with TLS <version> alone is refused

    Examples:
      | version |
      | 1.0     |
      | 1.1     |

  @tls-01 @tls-03 @hrex-sec-9
  Scenario: A current version of TLS is taken
    Then a handshake with TLS 1.2 or 1.3 succeeds

  @tls-03 @hrex-sec-9
  Scenario: Weak ciphers are refused
    Then a handshake with weak ciphers alone is refused

  @tls-01
  Scenario: Every address is https
    Then every address the target hands out is https

  @tls-01
  Scenario: Plain http gets no answer
    When the FHIR base is asked over plain http
    Then nothing is answered but a refusal or a redirect to https

  @mtls-06
  Scenario: Discovery needs no client certificate
    When discovery is asked without a client certificate
    Then the answer has status 200

  @mtls-01 @hrex-sec-13 @tls-04
  Scenario: A certificate and a client id are given a token
    When a token is asked for with the client's certificate and its id
    Then the answer has status 200
    And "access_token" is text that is not empty

  @mtls-01 @hrex-sec-13
  Scenario: A client id without a certificate is given none
    When a token is asked for with the client's id and no certificate
    Then the connection or the request is refused

  @mtls-01 @hrex-sec-13
  Scenario: A certificate without a client id is given none
    When a token is asked for with the client's certificate and no id
    Then the connection or the request is refused

  @mtls-02 @hrex-sec-14
  Scenario Outline: A client certificate that no authority stands behind is refused
    When a token is asked for with a certificate that is "<flaw>"
    Then the connection or the request is refused

    Examples:
      | flaw                    |
      | self-signed             |
      | of an unknown authority |
      | expired                 |
      | not yet valid           |

  @mtls-03 @hrex-sec-15
  Scenario: A certificate that names its holder by no URI is refused
    When a token is asked for with a certificate that is "without its URI"
    Then the connection or the request is refused

  @mtls-04 @hrex-sec-16 @hrex-sec-12
  Scenario: A bound token is nothing without its certificate
    When a bound token is used over a connection without its certificate
    Then the answer has status 401
    And the header "WWW-Authenticate" contains "invalid_token"

  @mtls-04 @hrex-sec-16 @hrex-sec-12
  Scenario: A bound token is nothing with another certificate
    When a bound token is used over a connection with another certificate
    Then the answer has status 401
    And the header "WWW-Authenticate" contains "invalid_token"

  @mtls-bundle
  Scenario: The endpoint bundle is signed
    When the signed endpoint bundle is read
    Then the bundle is a collection with timestamp and signature
    And its signature holds

  @mtls-endpoint
  Scenario: The endpoint bundle tells of one endpoint in force
    When the signed endpoint bundle is read
    Then its endpoint is active, of one payload type, and carries certificates in force

  @mtls-org
  Scenario: The endpoint bundle tells whom to turn to
    When the signed endpoint bundle is read
    Then its organizations are active and name a page for support

  @mtls-associated-servers
  Scenario: The endpoint bundle tells where to register
    When the signed endpoint bundle is read
    Then its endpoint names the FHIR base and a server to register or authenticate at
