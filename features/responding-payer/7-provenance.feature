Feature: Provenance
  Where the records come from, and that this is told on.

  @pdex-08
  Scenario: Provenance is filled
    Given the export of the request "unique"
    Then every Provenance has targets, a time, and agents and entities that are whole

  @pdex-06
  Scenario: The origin tells its party and its kind of feed
    Given the export of the request "unique"
    Then every Provenance of an origin names its party and the format of its source

  @hrex-prov-1
  Scenario: Agents are of the kind that fits what they did
    Given the export of the request "unique"
    Then every agent that is referred to is of a kind that fits its type

  @hrex-prov-2
  Scenario: Nobody acts on behalf of themselves
    Given the export of the request "unique"
    Then no agent acts on behalf of itself

  @pdex-15 @pdex-18 @pdex-86
  Scenario: The Provenance of an earlier plan is told on
    Given the export of the request "foreign-author"
    Then every Provenance is delivered that the truth table expects

  @pdex-19 @pdex-20
  Scenario: What comes from claims says so
    Given the export of the request "unique"
    Then every claim is the target of a Provenance that names its source, the plan and the format

  @pdex-126 @pdex-128
  Scenario: What is years old has its author, its source and the source's format
    Given the export of the request "time-windows"
    Then everything that is older than a year has a Provenance with author and format of the source

  @pdex-cap-meta-profile
  Scenario: Resources name their profiles
    Given the export of the request "unique"
    Then every resource names a profile

  @pdex-typefilter-window
  Scenario: A filter widens nothing
    Given the export of the request "sensitive-held" with Observations of all times
    Then nothing is delivered that the truth table withholds
