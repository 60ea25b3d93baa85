Feature: Changes
  What was deleted since is told, and guessing is hindered.

  @bulk-man-15 @bulk-man-16 @bulk-man-17 @needs-delete-resource
  Scenario: What was deleted since the last export is told
    Given an export of "drifted-demographics" since its last one, with an Observation deleted meanwhile
    Then the deletion is told in a transaction that deletes
    And what was deleted is not delivered

  @hrex-mm-7 @needs-pressure
  Scenario: Whoever tries card after card for one person is hindered
    When another client asks for one person with card after card
    Then it is told to stop before 30 cards are tried
