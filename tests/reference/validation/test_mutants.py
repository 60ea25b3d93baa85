"""Single defects of official examples, over all profiles of the exchange, each at its place.

Set PAYER_EXCHANGE_ALL_MUTANTS to anything to play every mutant of every example.
"""

from __future__ import annotations

import json
import os
import random

from .mutator import Mutator
from .mutator_of_rules import broken_rules
from .official import definitions, needed, placements

pytestmark = needed
ALL = bool(os.environ.get("PAYER_EXCHANGE_ALL_MUTANTS"))
CORE = "http://hl7.org/fhir/StructureDefinition/"
RULES = 8
# The exchange's own packages; the others that the index names are not of its profiles.
OURS = ("us.core-", "us.carin-bb-", "us.davinci-hrex-1.2.0", "us.davinci-pdex-2.2.0")


def played(validator):
    """(package's file, canonical, resource) of examples that are right; one a profile."""
    seen = set()
    for name, _, _, resource, claim in placements():
        file, url = f"hl7.fhir.{name}.tgz", claim.partition("|")[0]
        found = definitions(file).get(url) if name.startswith(OURS) else None
        canonical = f"{url}|{found['version']}" if found else ""
        if found and (ALL or canonical not in seen) and not errors(validator, resource, canonical):
            seen.add(canonical)
            yield file, canonical, resource


def errors(validator, resource, *canonicals):
    body = json.dumps(resource).encode()
    return {(f.rule, f.pointer) for f in validator.validate_bytes(body, list(canonicals))
            if f.severity == "error"}  # fmt: skip


def test_a_profile_alone_finds_what_profile_and_type_find(validator):
    """The type is not looked at where a profile's snapshot repeats it: that loses no error."""
    chance = random.Random(6)
    for file, canonical, resource in played(validator):
        each = list(Mutator(file, canonical.partition("|")[0], resource).mutants())
        each += broken_rules(resource)
        for mutant in each if ALL else chance.sample(each, min(len(each), 5)):
            both = [canonical, f"{CORE}{resource['resourceType']}"]
            alone = errors(validator, mutant.resource, canonical)
            assert alone == errors(validator, mutant.resource, *both), (canonical, mutant.kind)


def drawn(of_elements, of_rules, chance):
    """One of each kind, so that no kind hides behind another; some of those any resource has."""
    kinds = {}
    for mutant in of_elements:
        kinds.setdefault(mutant.kind, []).append(mutant)
    few = chance.sample(of_rules, min(len(of_rules), RULES))
    return [chance.choice(of_kind) for of_kind in kinds.values()] + few


def judged(validator):
    """(canonical, mutant, whether it is caught) of all mutants."""
    made, chance = [], random.Random(5)
    for file, canonical, resource in played(validator):
        mutator = Mutator(file, canonical.partition("|")[0], resource)
        each, rules = list(mutator.mutants()), list(broken_rules(resource))
        for mutant in each + rules if ALL else drawn(each, rules, chance):
            found = errors(validator, mutant.resource, canonical)
            caught = any((rule, mutant.pointer) in found for rule in mutant.rules)
            made.append((canonical, mutant, caught))
    return made


def test_each_single_defect_is_found_by_its_rule_at_its_place(validator):
    all_of_them = judged(validator)
    missed = [(c, m.kind, m.pointer) for c, m, caught in all_of_them if not caught]
    kinds = {mutant.kind for _, mutant, _ in all_of_them}
    rate = 100 * (1 - len(missed) / len(all_of_them))
    profiles = len({canonical for canonical, _, _ in all_of_them})
    told = f"{len(all_of_them)} mutants of {len(kinds)} kinds, {profiles} profiles"
    print(f"{told}: {rate:.2f} % caught")  # noqa: T201 - the figure, by pytest -rP
    assert len(kinds) >= 60
    assert len(all_of_them) >= 300
    assert rate >= 99, missed[:30]
    assert kinds == {mutant.kind for _, mutant, caught in all_of_them if caught}
