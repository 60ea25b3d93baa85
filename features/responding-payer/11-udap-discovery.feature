Feature: UDAP discovery
  What a payer says of its UDAP, open to all and signed.

  @udap-disc-01
  Scenario: UDAP metadata is open to all
    When the UDAP metadata is asked for by nobody in particular
    Then the answer has status 200
    And the media type is "application/json"

  @udap-disc-02
  Scenario: A payer without UDAP says that there is nothing
    When the address of the UDAP metadata is asked
    Then the answer has status 404

  @udap-disc-05
  Scenario: Version 1 of UDAP is named, and no other
    When the UDAP metadata is read
    Then the list "udap_versions_supported" is exactly "1"

  @udap-disc-06
  Scenario: The profiles of registration and authentication are named
    When the UDAP metadata is read
    Then "udap_profiles_supported" contains "udap_dcr"
    And "udap_profiles_supported" contains "udap_authn"
    And the profile for client credentials is there if they are offered

  @udap-disc-07
  Scenario: The B2B extension is named
    When the UDAP metadata is read
    Then "udap_authorization_extensions_supported" contains "hl7-b2b"

  @udap-disc-08
  Scenario: Extensions that are required are supported
    When the UDAP metadata is read
    Then "udap_authorization_extensions_required" is a part of "udap_authorization_extensions_supported"

  @udap-disc-09
  Scenario: Certifications that are required are supported
    When the UDAP metadata is read
    Then "udap_certifications_required" is a part of "udap_certifications_supported"

  @udap-disc-10
  Scenario: Grant types are named
    When the UDAP metadata is read
    Then "grant_types_supported" is a list that is not empty
    And refresh tokens are offered along with the code flow only

  @udap-disc-11
  Scenario: Scopes are named
    When the UDAP metadata is read
    Then "scopes_supported" is a list that is not empty

  @udap-disc-12
  Scenario Outline: The <endpoint> is told as an absolute URL
    When the UDAP metadata is read
    Then "<endpoint>" is an absolute URL

    Examples:
      | endpoint              |
      | token_endpoint        |
      | registration_endpoint |

  @udap-disc-13
  Scenario: Clients authenticate by signed assertions alone
    When the UDAP metadata is read
    Then the list "token_endpoint_auth_methods_supported" is exactly "private_key_jwt"

  @udap-disc-14
  Scenario: RS256 is named for assertions
    When the UDAP metadata is read
    Then "token_endpoint_auth_signing_alg_values_supported" contains "RS256"

  @udap-disc-15
  Scenario: Algorithms are named for software statements
    When the UDAP metadata is read
    Then "registration_endpoint_jwt_signing_alg_values_supported" is a list that is not empty

  @udap-disc-16
  Scenario: The metadata is signed by RS256 and carries its certificate
    When the UDAP metadata is read
    Then it is signed by the certificate it carries

  @udap-disc-17
  Scenario: The metadata is signed in the name of the FHIR base
    When the UDAP metadata is read
    Then it is signed in the name of the FHIR base, which the certificate has

  @udap-disc-18
  Scenario: The signed metadata is of now
    When the UDAP metadata is read
    Then it is dated, and good for a year at most

  @udap-disc-19
  Scenario: The endpoints are signed
    When the UDAP metadata is read
    Then the endpoints are signed, and are those beside them

  @udap-jwt-05
  Scenario: No two signed metadata share a jti
    When the UDAP metadata is read
    Then another reading has the same signature or another jti

  @udap-disc-21
  Scenario: The certificate leads to the community's trust anchor
    When the UDAP metadata is read
    Then its certificate leads to a trust anchor

  @udap-disc-21
  Scenario: Another community is answered with its own certificate
    When the UDAP metadata is read for another community
    Then the answer has status 200
    And its certificate leads to that community's authority

  @udap-disc-22
  Scenario: A community that nobody knows is no error
    When the UDAP metadata is read for a community that nobody knows
    Then the answer has status 200 or 204 or 404
