Feature: Member match by a requesting payer
  What is submitted is what HRex asks for, and data is asked for after the match alone.

  @pdex-196 @pdex-209
  Scenario: The match comes before any data
    Given the exchange "plain"
    Then no data is asked for before the match

  @pdex-196
  Scenario: Without a match no data is asked for
    Given the exchange "no-match"
    Then no data is asked for
    And the match is asked for once
    And the requesting payer does not claim to have a record

  @pdex-200
  Scenario: An identifier alone leads on
    Given the exchange "identifier-alone"
    Then the record is received

  @hrex-mm-3
  Scenario: The identifier of the match is used as it was given
    Given the exchange "identifier-alone"
    Then the Patient is searched for by the identifier of the match

  @hrex-mm-5
  Scenario: The new coverage holds what HRex has a payer support, and no more
    Given the exchange "plain"
    Then the new coverage holds no element that HRex does not support

  @hrex-prof-mm-in-slices
  Scenario: The match request holds the parameters of HRex
    Given the exchange "plain"
    Then the match request holds the parameters of HRex alone

  @hrex-prof-mm-in-link-payer
  Scenario: The match request holds the new coverage
    Given the exchange "plain"
    Then the match request holds "CoverageToLink"

  @cms0057-attestation
  Scenario: The match request says that the member is enrolled and has opted in
    Given the exchange "plain"
    Then the match request holds "Consent"
    And the match request holds "CoverageToLink"

  @hrex-mm-6
  Scenario: The parts of the match request are about one Patient
    Given the exchange "plain"
    Then the parts of the match request name the MemberPatient

  @hrex-prof-patient
  Scenario: The member is told by name, birth date and gender
    Given the exchange "plain"
    Then the MemberPatient has what HRex asks for

  @hrex-prof-coverage
  Scenario: The coverages have what HRex asks for
    Given the exchange "plain"
    Then the coverages of the match request have what HRex asks for

  @hrex-prof-consent-core
  Scenario: The Consent has the form of HRex
    Given the exchange "plain"
    Then the Consent has the form of HRex

  @hrex-prof-consent-period
  Scenario: The Consent has a first and a last day
    Given the exchange "plain"
    Then the period of the Consent is whole
    And the Consent is in force

  @hrex-prof-consent-policy
  Scenario: The Consent has one policy of HRex
    Given the exchange "plain"
    Then the policy of the Consent is one of HRex

  @hrex-prof-consent-nofilters
  Scenario: The Consent has no filters
    Given the exchange "plain"
    Then the provision of the Consent holds nothing that HRex forbids

  @hrex-prof-consent-action
  Scenario: The Consent is to disclose
    Given the exchange "plain"
    Then the action of the Consent is to disclose

  @hrex-mm-1 @hrex-prof-consent-actors
  Scenario Outline: The Consent names the payers of this exchange
    Given the exchange "plain"
    Then the Consent names the <role>

    Examples:
      | role      |
      | discloser |
      | recipient |

  @hrex-prof-mm-in-consent-100
  Scenario: The match request holds a Consent
    Given the exchange "plain"
    Then the match request holds "Consent"

  @hrex-mm-2
  Scenario: The coverage of the other payer tells what the card tells
    Given the exchange "plain"
    Then the old coverage holds every element of the card

  @search-04
  Scenario: The pages of a search are followed as they are told
    Given the exchange "paged-search"
    Then the next page is asked for as it was told
    And the record is received

  @pdex-205
  Scenario: Who gives the permission in the member's place is told in the Consent
    Given the exchange "representative"
    Then the Consent contains the representative

  @pdex-206
  Scenario: Who gives the permission in the member's place is an actor of the Consent
    Given the exchange "representative"
    Then the Consent names the representative as an actor
