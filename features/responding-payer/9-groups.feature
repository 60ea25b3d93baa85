Feature: Groups
  A matched Group is the handle of later exports: its requester finds it again, and nobody else does.

  @pdex-163 @pdex-159 @pdex-group-read
  Scenario: A matched Group can be read again
    Given the bulk match of the known answers
    When the matched Group is read
    Then the answer is the matched Group as it was told

  @bulk-p2p-03 @pdex-187
  Scenario: A Group is closed without a token
    Given the bulk match of the known answers
    When the matched Group is read without a token
    Then the answer has status 401 or 403

  @pdex-157 @pdex-160 @cap-06
  Scenario: A Group is found by its identifier
    Given the bulk match of the known answers
    When Groups are searched by identifier
    Then the matched Group is found

  @pdex-search-identifier-forms
  Scenario: A Group is found by system and identifier
    Given the bulk match of the known answers
    When Groups are searched by system and identifier
    Then the matched Group is found

  @pdex-157 @pdex-search-identifier-forms
  Scenario: No Group is found by an identifier that none has
    Given the bulk match of the known answers
    When Groups are searched by another identifier
    Then no Group is found

  @pdex-157
  Scenario: A Group is found by its characteristic
    Given the bulk match of the known answers
    When Groups are searched by characteristic
    Then the matched Group is found

  @pdex-394
  Scenario: A Group is found by its code
    Given the bulk match of the known answers
    When Groups are searched by code
    Then the matched Group is found
    And only Groups of matched members are found

  @pdex-search-code-combos
  Scenario: A Group is found by one code or another
    Given the bulk match of the known answers
    When Groups are searched by one code or another
    Then the matched Group is found

  @pdex-search-code-combos
  Scenario: No Group has two codes at once
    Given the bulk match of the known answers
    When Groups are searched by two codes at once
    Then no Group is found

  @pdex-search-valueref
  Scenario: A Group is found by whom it was made for
    Given the bulk match of the known answers
    When Groups are searched by the reference of its characteristic
    Then the matched Group is found

  @pdex-search-valueref
  Scenario: No Group is found by somebody it was not made for
    Given the bulk match of the known answers
    When Groups are searched by the reference of somebody else
    Then no Group is found

  @pdex-162
  Scenario: A second match leaves the first one's Group alone
    Given the bulk match of the known answers
    Then the two matches have Groups of their own, or share one
