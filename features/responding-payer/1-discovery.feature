Feature: Discovery
  What a responding payer says of itself before anybody has a token.

  @smart-disc-01
  Scenario: The SMART configuration is published below the FHIR base
    Given the target's SMART configuration
    Then the answer has status 200

  @smart-disc-02
  Scenario: The SMART configuration is JSON whatever is accepted
    When the SMART configuration is asked for as "application/xml"
    Then the answer has status 200
    And the media type is "application/json"

  @smart-disc-05 @smart-disc-03
  Scenario: The SMART configuration names an absolute token endpoint
    Given the target's SMART configuration
    Then "token_endpoint" is an absolute URL

  @smart-disc-06
  Scenario: The SMART configuration offers client credentials
    Given the target's SMART configuration
    Then "grant_types_supported" contains "client_credentials"

  @smart-disc-07
  Scenario: The SMART configuration claims asymmetric client authentication
    Given the target's SMART configuration
    Then "capabilities" contains "client-confidential-asymmetric"

  @smart-disc-08
  Scenario: The SMART configuration offers S256 and not plain
    Given the target's SMART configuration
    Then "code_challenge_methods_supported" contains "S256"
    And "code_challenge_methods_supported" does not contain "plain"

  @smart-disc-09
  Scenario: The SMART configuration offers private_key_jwt
    Given the target's SMART configuration
    Then "token_endpoint_auth_methods_supported" contains "private_key_jwt"

  @smart-disc-10
  Scenario: The SMART configuration names RS384 or ES384
    Given the target's SMART configuration
    Then "token_endpoint_auth_signing_alg_values_supported" contains one of "RS384, ES384"

  @smart-disc-11
  Scenario: The SMART configuration lists the scopes that are supported
    Given the target's SMART configuration
    Then "scopes_supported" is a list that is not empty

  @smart-disc-12
  Scenario: The SMART configuration declares a scope syntax
    Given the target's SMART configuration
    Then "capabilities" contains one of "permission-v1, permission-v2"

  @pdex-183 @bulk-auth-01 @hrex-sec-11
  Scenario: Clients authenticate by SMART Backend Services
    Given the target's SMART configuration
    Then "token_endpoint_auth_methods_supported" contains "private_key_jwt"
    And "grant_types_supported" contains "client_credentials"

  @cap-01 @pdex-96
  Scenario: The payer describes itself with a CapabilityStatement for FHIR R4
    Given the target's CapabilityStatement
    Then the answer is a "CapabilityStatement" resource
    And "fhirVersion" starts with "4.0"
    And "kind" is "instance"

  @smart-disc-13
  Scenario Outline: An advertised <endpoint> is there
    Given the target's SMART configuration
    Then the advertised "<endpoint>" is an absolute URL where POST is answered

    Examples:
      | endpoint               |
      | introspection_endpoint |
      | revocation_endpoint    |

  @scope-01
  Scenario: The resource scopes that are offered are well formed
    Given the target's SMART configuration
    Then every resource scope in "scopes_supported" is well formed

  @hrex-ep-2
  Scenario: The Da Vinci configuration is JSON
    Given the target's Da Vinci configuration
    Then the answer has status 200
    And the media type is "application/json"
    And "endpoints" is an object

  @pdex-88
  Scenario: The Da Vinci configuration names the payer-to-payer endpoint
    Given the target's Da Vinci configuration
    Then it names an endpoint for payers at an absolute URL

  @smart-disc-15
  Scenario: OpenID Connect is claimed with its issuer and keys, or not at all
    Given the target's SMART configuration
    Then OpenID Connect is claimed with its issuer and keys, or not at all

  @pdex-98
  Scenario: Every type that is delivered is declared
    Given the export of the request "unique"
    And the target's CapabilityStatement
    Then every type that is delivered is declared

  @cap-02
  Scenario: The CapabilityStatement instantiates the bulk data capability
    Given the target's CapabilityStatement
    Then "instantiates" contains "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"

  @cap-05
  Scenario: The CapabilityStatement signals SMART on FHIR
    Given the target's CapabilityStatement
    Then "rest.security.service.coding.code" contains "SMART-on-FHIR"

  @pdex-cap-membermatch @pdex-225
  Scenario: The CapabilityStatement declares member match with its definition
    Given the target's CapabilityStatement
    Then the type "Patient" declares the operation "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match"

  @cap-03
  Scenario: The CapabilityStatement declares the Patient export
    Given the target's CapabilityStatement
    Then the type "Patient" declares the operation "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"

  @pdex-cap-revinclude
  Scenario: The CapabilityStatement declares Provenance with clinical types
    Given the target's CapabilityStatement
    Then the clinical types declare the reverse include "Provenance:target"

  @pdex-cap-payer-json
  Scenario: The CapabilityStatement offers JSON
    Given the target's CapabilityStatement
    Then "format" contains one of "application/fhir+json, json"
