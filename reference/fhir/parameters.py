"""Reading and making Parameters resources, with errors that name the element."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter with its place, so that an error can say where it stood."""

    name: str
    content: Mapping[str, Any]
    expression: str

    def resource(self, kind: str) -> dict[str, Any]:
        """The resource it holds; raises BadRequest when it holds none of that type."""
        found = self.content.get("resource")
        if not isinstance(found, dict) or found.get("resourceType") != kind:
            raise BadRequest(
                f"The parameter {self.name} must hold a {kind} resource.",
                code="structure",
                expression=f"{self.expression}.resource",
            )
        return found

    def value(self, *kinds: str) -> Any:
        """The value[x] of one of the types; raises BadRequest when it holds another one."""
        for kind in kinds:
            if f"value{kind}" in self.content:
                return self.content[f"value{kind}"]
        raise BadRequest(
            f"The parameter {self.name} must have value{' or value'.join(kinds)}.",
            code="structure",
            expression=self.expression,
        )

    def parts(self) -> list[Parameter]:
        """Its parts."""
        return _entries(self.content.get("part"), f"{self.expression}.part")


def parameters_of(body: Mapping[str, Any]) -> list[Parameter]:
    """The parameters of a Parameters resource; raises BadRequest when the body is none."""
    if body.get("resourceType") != "Parameters":
        raise BadRequest(
            "The body must be a Parameters resource.", code="structure", expression="resourceType"
        )
    return _entries(body.get("parameter"), "Parameters.parameter")


def by_name(
    found: Iterable[Parameter], allowed: Iterable[str], *, repeatable: Iterable[str] = ()
) -> dict[str, Parameter]:
    """The parameters by name; raises BadRequest for an unknown or a doubled name."""
    names, many = set(allowed), set(repeatable)
    result: dict[str, Parameter] = {}
    for parameter in found:
        if parameter.name not in names:
            raise BadRequest(
                f"A parameter here has a name the operation does not know. "
                f"It knows {', '.join(sorted(names))}.",
                code="not-supported",
                expression=f"{parameter.expression}.name",
            )
        if parameter.name in result and parameter.name not in many:
            raise BadRequest(
                f"The parameter {parameter.name} stands twice.",
                code="structure",
                expression=parameter.expression,
            )
        result.setdefault(parameter.name, parameter)
    return result


def required(found: Mapping[str, Parameter], name: str) -> Parameter:
    """The parameter; raises BadRequest when it is missing."""
    if name not in found:
        raise BadRequest(
            f"The parameter {name} is missing.",
            code="required",
            expression=f"Parameters.parameter.where(name='{name}')",
        )
    return found[name]


def make_parameters(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A Parameters resource with the entries given."""
    return {"resourceType": "Parameters", "parameter": list(entries)}


def _entries(value: Any, expression: str) -> list[Parameter]:
    if not isinstance(value, list) or not value:
        raise BadRequest(
            f"{expression} must be a list that is not empty.",
            code="structure",
            expression=expression,
        )
    found = []
    for index, entry in enumerate(value):
        where = f"{expression}[{index}]"
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str):
            raise BadRequest(
                "A parameter must be an object with a name.", code="structure", expression=where
            )
        found.append(Parameter(name, entry, where))
    return found
