"""Tables turned into closures, once a profile: each checks a value and what stands below it."""

from __future__ import annotations

from typing import Any

from . import beyond, fhirpath
from .coding import coded
from .extensions import Extensions
from .leaves import Leaves
from .matching import Discriminators, equals, fitting
from .places import (
    Place,
    all_of,
    below,
    is_same,
    kind_of,
    named,
    not_evaluated,
    only_one,
    shadowed,
    types_left,
)
from .primitives import NAMES, primitive
from .run import Check, Found, Run, claimed, errors
from .slices import slices_of
from .tables import Tables
from .terminology import Terminology

Row = dict[str, Any]
# What may be asked of a single value besides its type.
_ASKED = frozenset(["b", "c", "k", "p", "ref", "s", "sl", "maxLength", "minValue", "maxValue"])
_CORE = "http://hl7.org/fhir/StructureDefinition/"
# Resources have claims of their own, whatever a profile asks of their place.
_LARGE = ("Resource", "DomainResource")


class Engine:
    """Makes the checks of profiles and of types, and keeps them."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.terms = Terminology(tables)
        self.discriminators = Discriminators(self)
        self.leaves = Leaves(self)
        self.extensions = Extensions(self)
        self._made: dict[Any, Check] = {}
        # Profiles that name targets whose definition is not here; known when they are made.
        self.partial: set[str] = set()
        self._claims: dict[str, list[tuple[Check, str, str]]] = {}

    def check_of(self, canonical: str, package: str | None = None) -> Check | None:
        """The check of a profile or a base type; None where no table holds it."""
        key = self.tables.find("profile", canonical, package)
        if key is None:
            return None
        if key not in self._made:
            # Types hold themselves: what is asked for while it is being made is found later.
            self._made[key] = lambda value, at, run: self._made[key](value, at, run)
            self._made[key] = self._profile(key)
        return self._made[key]

    def _profile(self, key: tuple[str, str]) -> Check:
        row = self.tables.row("profile", key)
        place = Place("|".join(key), self.tables.package_of("profile", key), row["root"])
        check = self.object_of(row["root"], place, row["kind"] == "resource")
        wanted = row["type"] if row["kind"] == "resource" else None
        more = beyond.check_of(str(row["type"]), self)
        check = all_of([check, more]) if more else check
        if wanted is None:
            return check

        def of_type(value: Any, at: str, run: Run) -> None:
            if isinstance(value, dict) and value.get("resourceType") != wanted:
                run.add("error", "type", at, f"a {wanted}", "another type", place.profile)
                return
            own = run.resource is value or not isinstance(value, dict)
            check(value, at, run if own else run.inside(value))

        return of_type if not row["abstract"] else check

    def of_type(self, name: str, place: Place) -> Check:
        """The check of a value of a type."""
        if name in NAMES:
            return self.leaves.primitive(name, place)
        if name in _LARGE:
            return self.resource
        if name == "Extension":
            return self.extensions.of(place)
        return self.check_of(_CORE + name) or (lambda _value, _at, _run: None)

    def resource(self, value: Any, at: str, run: Run) -> None:
        """Check a resource within another, by its type and by the profiles it claims."""
        kind = value.get("resourceType") if isinstance(value, dict) else None
        check = self.check_of(_CORE + kind) if isinstance(kind, str) else None
        if check is None:
            run.add("error", "type", at, "a resource of R4", "none", "")
            return
        self.judge(value, claimed(value), at, run.inside(value))

    def judge(self, resource: Row, canonicals: list[str], at: str, run: Run) -> None:
        """Check a resource of a known type by profiles; by its type where none is here.

        A profile's snapshot says all that its type says, so that the type alone adds nothing;
        unless it narrows to profiles that no package here defines.
        """
        kind, known = resource["resourceType"], False
        for canonical in dict.fromkeys([*canonicals, *beyond.asked_by_code(resource)]):
            found = self._against(resource, canonical, at, run)
            known = known or (found is not None and self._says_all(canonical, kind))
            if found is None:
                said = ("a profile whose tables are here", "one that no package here defines")
                run.add("information", "profile-unknown", f"{at}/meta/profile", *said, "")
            else:
                run.found += found
        check = None if known else self.check_of(_CORE + kind)
        if check is not None:
            check(resource, at, run)

    def _against(self, resource: Row, canonical: str, at: str, run: Run) -> list[Found] | None:
        """What is found by a claim: of a claim without a version, by the version met best."""
        tried: list[tuple[list[Found], str]] = []
        for check, name, _ in self._claim(canonical):
            aside = run.aside()
            check(resource, at, aside)
            tried.append((aside.found, name))
            if not errors(aside.found):
                break
        return run.met(resource, min(tried, key=lambda one: errors(one[0]))) if tried else None

    def _says_all(self, canonical: str, kind: str) -> bool:
        claim = self._claim(canonical)
        return all(name not in self.partial and of == kind for _, name, of in claim)

    def _claim(self, canonical: str) -> list[tuple[Check, str, str]]:
        """(check, profile with version, its type) of a claim, the newest version first."""
        if canonical in self._claims:
            return self._claims[canonical]
        bare = "|" not in canonical
        versions = self.tables.versions(canonical) if bare else []
        made = []
        for one in [f"{canonical}|{version}" for version in versions] if bare else [canonical]:
            key, check = self.tables.find("profile", one), self.check_of(one)
            if key is not None and check is not None:
                made.append((check, "|".join(key), str(self.tables.row("profile", key)["type"])))
        if made:
            # Only what is here is kept: of other canonicals there may be any number.
            self._claims[canonical] = made
        return made

    def child(self, node: Row, name: str, package: str) -> Row:
        """A child's facts, from the profile or from the child's own type."""
        children = node.get("k") or {}
        found = children.get(name) or children.get(name + "[x]")
        if found is not None:
            return dict(found)
        for entry in node.get("t") or []:
            for canonical in [*(entry[1:2] or [[]])[0], _CORE + entry[0]]:
                key = self.tables.find("profile", canonical, package)
                root = self.tables.row("profile", key)["root"] if key else {}
                inner = root.get("k") or {}
                if name in inner or name + "[x]" in inner:
                    return dict(inner.get(name) or inner[name + "[x]"])
        return {}

    def wanted(self, node: Row) -> list[Any]:
        """Tests for the values a profile fixes at a node and below it."""
        tests: list[Any] = []
        if "f" in node:
            tests.append(lambda value: equals(value, node["f"]))
        if "p" in node:
            tests.append(fitting(node["p"]))
        for name, child in (node.get("k") or {}).items():
            if child.get("min"):
                inner = self.wanted(child)
                if inner:
                    tests.append(below(name, inner))
            for slice_ in (child.get("s") or {}).values():
                inner = self.wanted(slice_) if slice_.get("min") else []
                if inner:
                    tests.append(below(name, inner))
        return tests

    def coded(self, canonical: str, package: str) -> Any:
        """Whether a coded value is in a value set: yes, no, or None."""
        return coded(self.terms.membership(canonical, package))

    def object_of(self, node: Row, place: Place, is_resource: bool = False) -> Check:
        """The check of an object with the children of a node."""
        rules: dict[str, Any] = {}
        required: list[tuple[str, frozenset[str], str, str]] = []
        for name, child in (node.get("k") or {}).items():
            self._child_rules(name, child, place, rules, required)
        plain = self._plain(node)
        invariants = self.invariants(node, place)
        profile = place.profile

        def check(value: Any, at: str, run: Run) -> None:
            if type(value) is not dict or not value:
                run.add("error", "object", at, "an object with content", kind_of(value), profile)
                return
            for key, item in value.items():
                fits = plain.get(key)
                if fits is not None and fits(item):
                    continue
                rule = rules.get(key)
                if rule is not None:
                    rule(item, f"{at}/{key}", run, value)
                elif key != "resourceType" or not is_resource:
                    run.add("error", "unknown", f"{at}/{named(key)}",
                            "no such element", "one", profile)  # fmt: skip
            for name, keys, rule, wanted in required:
                if keys.isdisjoint(value):
                    run.add("error", rule, f"{at}/{name}", wanted, "nothing", profile)
            for invariant in invariants:
                invariant(value, at, run)

        return check

    @staticmethod
    def _plain(node: Row) -> dict[str, Any]:
        """Tests of single values that nothing but their type, or one text, is asked of."""
        made = {}
        for name, child in (node.get("k") or {}).items():
            kind = ((child.get("t") or [[""]])[0] or [""])[0]
            if kind in NAMES and not Place.is_list(child) and not _ASKED.intersection(child):
                made[name] = is_same(child["f"]) if "f" in child else primitive(kind)
        return made

    def _child_rules(
        self, name: str, child: Row, place: Place, rules: Row, required: list[Any]
    ) -> None:
        target = place.follow(child)
        if name.endswith("[x]"):
            plain = name[:-3]
            keys = self._choices(plain, child, place, rules)
        else:
            plain = name
            check, kind = self.value_check(target, place)
            if name == "modifierExtension":
                check = all_of([check, self.extensions.modifier])
            rule = self._many(name, child, check, place, kind in NAMES)
            rules[name] = self.extensions.placed(rule) if kind == "Extension" else rule
            keys = [name]
            if kind in NAMES:
                rules["_" + name] = self._shadow(name, place)
                keys.append("_" + name)
        if child.get("min", 0):
            required.append((plain, frozenset(keys), "min", "present"))
        elif not name.endswith("[x]"):
            for slice_, inner in (child.get("s") or {}).items():
                if inner.get("min") and "/" not in slice_:
                    wanted = f"at least {inner['min']} of slice {slice_}"
                    required.append((plain, frozenset(keys), "slice-min", wanted))

    def _choices(self, plain: str, child: Row, place: Place, rules: Row) -> list[str]:
        keys = []
        for entry in types_left(child):
            suffix = entry[0][0].upper() + entry[0][1:]
            one = {**child, "t": [entry]}
            if len(child["t"]) > 1:
                one.pop("k", None)
            checks = [self.value_check(one, place)[0]]
            for slice_ in (child.get("s") or {}).values():
                if any(t[0] == entry[0] for t in slice_.get("t") or []):
                    checks.append(self.value_check(slice_, place)[0])
            key = plain + suffix
            keys.append(key)
            rules[key] = self._many(
                key, {"max": child.get("max", 1)}, all_of(checks), place, entry[0] in NAMES
            )
            if entry[0] in NAMES:
                rules["_" + key] = self._shadow(key, place)
                keys.append("_" + key)
        for key in keys:
            if not key.startswith("_"):
                rules[key] = only_one(rules[key], plain, key, keys, place.profile)
        return keys

    def _shadow(self, name: str, place: Place) -> Any:
        """What stands beside a primitive: its id and its extensions."""
        element = self.check_of(_CORE + "Element") or (lambda _v, _a, _r: None)
        profile = place.profile

        def check(value: Any, at: str, run: Run, parent: Row) -> None:
            for index, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
                where = at if index is None else f"{at}/{index}"
                if item is not None or index is None:
                    element(item, where, run)
            beside = parent.get(name)
            both = isinstance(value, list) and isinstance(beside, list)
            if both and len(value) != len(beside or ()):
                run.add("error", "shadow", at, f"as long as {name}", "another", profile)

        return check

    def value_check(self, node: Row, place: Place) -> tuple[Check, str]:
        """The check of one value of an element, and its type when there is just one."""
        types = node.get("t") or []
        kind = types[0][0] if types else ""
        if "like" in node:
            return self._later(node, place), kind
        checks: list[Check] = []
        if node.get("k") and kind not in NAMES and kind not in _LARGE:
            checks += [self.object_of(node, place), *self._rules_of_type(kind, node)]
        narrowed = self.leaves.profiles((types[0][1:2] or [[]])[0], place) if types else []
        if not checks and types and (not narrowed or kind in _LARGE or len(types[0][1]) > 1):
            checks.append(self.of_type(kind, place))
        checks += narrowed
        for entry in types[:1]:
            checks += self.leaves.targets(kind, (entry[2:3] or [[]])[0], place)
        checks += self.leaves.values(node, kind, place)
        if kind in NAMES or not node.get("k"):
            checks += self.invariants(node, place)
        return all_of(checks), kind

    def _rules_of_type(self, kind: str, node: Row) -> list[Check]:
        """What a type asks of itself: snapshots that walk into a type do not repeat it."""
        key = self.tables.find("profile", _CORE + kind)
        if key is None:
            return []
        own = {rule[0] for rule in node.get("c") or []}
        rules = self.tables.row("profile", key)["root"].get("c") or []
        left = {"t": [[kind]], "c": [rule for rule in rules if rule[0] not in own]}
        more = beyond.check_of(kind, self)
        place = Place("|".join(key), self.tables.package_of("profile", key), {})
        return [*self.invariants(left, place), *([more] if more else [])]

    def _later(self, node: Row, place: Place) -> Check:
        """Made when a value is there: elements that are like others may hold themselves."""
        key = (place.profile, node["like"])
        plain = {k: v for k, v in node.items() if k != "like"}

        def check(value: Any, at: str, run: Run) -> None:
            if key not in self._made:
                self._made[key] = self.value_check(plain, place)[0]
            self._made[key](value, at, run)

        return check

    def invariants(self, node: Row, place: Place) -> list[Check]:
        """The rules of a node; one that cannot be evaluated here says so of each value."""
        made = []
        for key, severity, expression in node.get("c") or []:
            rule = fhirpath.compile_rule(expression) or not_evaluated
            made.append(self._invariant(key, severity, rule, node, place))
        return made

    def _invariant(self, key: str, severity: str, rule: Any, node: Row, place: Place) -> Check:
        types = node.get("t") or []
        kind = types[0][0] if len(types) == 1 else None
        package, profile = place.package, place.profile

        def check(value: Any, at: str, run: Run) -> None:
            item = (value, kind if type(value) is not dict else value.get("resourceType") or kind)
            scope = {
                "resource": (run.resource, run.resource.get("resourceType")),
                "rootResource": (run.holder, run.holder.get("resourceType")),
                "context": item,
                "resolve": run.resolve,
                "member_of": lambda found, vs: self.coded(vs, package)(found),
            }
            answer = fhirpath.holds(rule, item, scope)
            if answer is False:
                run.add(severity, key, at, f"as rule {key} says", "otherwise", profile)
            elif answer is None:
                run.add("information", "not-evaluated", at, f"as rule {key} says",
                        "what cannot be evaluated here", profile)  # fmt: skip

        return check

    def _many(self, name: str, child: Row, check: Check, place: Place, bare: bool) -> Any:
        """The check of all values of an element: how many, each one, and their slices."""
        low, high = child.get("min", 0), child.get("max", -1)
        slices = slices_of(self, child, place)
        profile = place.profile

        def one(value: Any, at: str, run: Run, _parent: Row) -> None:
            if value is None or type(value) is list:
                run.add("error", "single", at, "one value", kind_of(value), profile)
            elif high == 0:
                run.add("error", "max", at, "absent", "one", profile)
            else:
                check(value, at, run)

        def many(value: Any, at: str, run: Run, parent: Row) -> None:
            if type(value) is not list or not value:
                run.add("error", "list", at, "a list with content", kind_of(value), profile)
                return
            if len(value) < low:
                run.add("error", "min", at, f"at least {low}", str(len(value)), profile)
            if 0 <= high < len(value):
                run.add("error", "max", at, f"at most {high}", str(len(value)), profile)
            whole = slices(value, at, run) if slices is not None else ()
            for index, item in enumerate(value):
                if index in whole or (item is None and bare and shadowed(parent, name, index)):
                    continue
                check(item, f"{at}/{index}", run)

        return many if place.is_list(child) else one
