Feature: HTTP and media types
  The plain rules of HTTP and of FHIR's media types.

  @conneg-01
  Scenario: JSON is sent as FHIR JSON in UTF-8
    When the CapabilityStatement is asked for as "application/fhir+json"
    Then the answer has status 200
    And the answer is FHIR JSON in UTF-8

  @conneg-03
  Scenario: The format of the address goes before the Accept header
    When the CapabilityStatement is asked for as "application/fhir+xml" with the format "json"
    Then the answer has status 200
    And the answer is a "CapabilityStatement" resource

  @conneg-04
  Scenario: The version of FHIR may stand in the media type
    When the CapabilityStatement is asked for as "application/fhir+json; fhirVersion=4.0"
    Then the answer has status 200

  @http-08
  Scenario: A HEAD request is answered like a GET, without a body, or not taken
    When the CapabilityStatement is asked for by HEAD
    Then the answer has status 200 or 405 or 501
    And the answer has no body

  @cap-04
  Scenario: The search parameters that are declared can be used in a type filter
    When exports are started with a type filter by each declared search parameter
    Then each of them is accepted

  @http-01
  Scenario: Headers are understood whatever the case of their names
    When the member's Patient is asked for with the header "aUTHORIZATION"
    Then the answer has status 200

  @http-05
  Scenario: A part of a file is sent as that part, or the file whole
    Given the export of the request "unique"
    When the first 100 bytes of a file are asked for
    Then those bytes are sent, or the file whole
