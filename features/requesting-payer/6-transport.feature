Feature: Transport of a requesting payer
  It looks at certificates before it says anything, and shows its own where that was agreed.

  @tls-02
  Scenario Outline: A certificate that is not good ends the exchange (<flaw>)
    Given the exchange "tls-<flaw>"
    Then nothing is sent over the connection

    Examples:
      | flaw              |
      | expired           |
      | other-host        |
      | self-signed       |
      | unknown-authority |

  @mtls-05
  Scenario: By mutual TLS the client still names itself
    Given the exchange "mutual-tls"
    Then every token request names the client
    And every token request comes with the client's certificate
    And the record is received

  @mtls-dcr
  Scenario: Over mutual TLS the client registers by itself
    Given the exchange "mutual-tls-registration"
    Then the registration comes before the first token request
    And every registration comes with the client's certificate
