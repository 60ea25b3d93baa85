"""The part of FHIRPath that rules of profiles use, compiled to Python closures.

`compile_rule` gives a function, or None for an expression beyond this part: such a rule is
"not evaluated", never broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from .primitives import primitive

# An item is a pair of a JSON value and the type its place says it has, or None.
Items = list[tuple[Any, str | None]]
Scope = dict[str, Any]
Step = Callable[[Items, Scope], Items]
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<date>@[\dT:+.Z-]+)|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[%$]?[A-Za-z_][\w-]*(?<!-)|%`[^`]+`|`[^`]+`)|(?P<sign><=|>=|!=|!~|[-+*/|&=~<>().,\[\]{}]))"
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_LEVELS = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "!=", "~", "!~"),
    ("<", "<=", ">", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
_PRIMITIVE_SUFFIX = re.compile(r"^[A-Z]")


# bdl-8 of R4 finds an entry without fullUrl wrong, which R4 allows; R5 words it like this.
_HISTORY = "fullUrl.contains('/_history/').not()"
_REWORDED = {_HISTORY: f"fullUrl.empty() or {_HISTORY}"}


class Unsupported(ValueError):
    """The expression asks for something that this part of FHIRPath has not."""


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found or not found.lastgroup:
            raise Unsupported(text[at : at + 10])
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> tuple[str, str]:
        if self.at >= len(self.tokens) or (wanted and self.peek() != wanted):
            raise Unsupported(f"expected {wanted}")
        self.at += 1
        return self.tokens[self.at - 1]

    def whole(self) -> Step:
        made = self.level(0)
        if self.at < len(self.tokens):
            raise Unsupported(self.peek())
        return made

    def level(self, depth: int) -> Step:
        if depth == len(_LEVELS):
            return self.unary()
        left = self.level(depth + 1)
        while self.peek() in _LEVELS[depth] and self.tokens[self.at][0] != "text":
            sign = self.take()[1]
            if sign in ("is", "as"):
                left = _typed(left, sign, self.type_name())
            else:
                left = _operator(sign, left, self.level(depth + 1))
        return left

    def type_name(self) -> str:
        name = self.take()[1]
        while self.peek() == ".":
            self.take()
            name = self.take()[1]
        return name

    def unary(self) -> Step:
        if self.peek() == "-":
            self.take()
            inner = self.unary()
            return lambda items, scope: [(-v, t) for v, t in inner(items, scope)]
        made = self.term()
        while self.peek() in (".", "["):
            if self.take()[1] == "[":
                made = _indexed(made, self.level(0))
                self.take("]")
            else:
                made = _then(made, self.invocation())
        return made

    def term(self) -> Step:  # noqa: PLR0911 - one a kind of term
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        if kind == "text":
            return self._constant(_unquoted(text))
        if kind == "number":
            return self._constant(float(text) if "." in text else int(text))
        if kind == "date":
            return self._constant(text[1:])
        if text in ("true", "false"):
            return self._constant(text == "true")
        if text == "(":
            self.take()
            made = self.level(0)
            self.take(")")
            return made
        if text == "{":
            self.take()
            self.take("}")
            return lambda _items, _scope: []
        if text.startswith("%"):
            return self._variable(text.strip("%`"))
        return self.invocation()

    def _constant(self, value: Any) -> Step:
        self.take()
        return lambda _items, _scope: [(value, None)]

    def _variable(self, name: str) -> Step:
        self.take()
        known = {"ucum": "http://unitsofmeasure.org", "sct": "http://snomed.info/sct"}
        if name in known:
            return lambda _items, _scope: [(known[name], None)]
        if name not in ("resource", "rootResource", "context"):
            raise Unsupported(name)
        return lambda _items, scope: [scope[name]]

    def invocation(self) -> Step:
        kind, name = self.take()
        if kind != "name":
            raise Unsupported(name)
        if name == "$this":
            return lambda items, scope: [scope["this"]] if "this" in scope else items
        if self.peek() != "(":
            return _member(name.strip("`"))
        self.take("(")
        if name in ("is", "as", "ofType"):
            made = _typed(lambda items, _scope: items, name, self.type_name())
            self.take(")")
            return made
        given = []
        while self.peek() != ")":
            given.append(self.level(0))
            if self.peek() == ",":
                self.take()
        self.take(")")
        return _function(name, given)


def _unquoted(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)

    return _ESCAPE.sub(plain, text[1:-1])


def _then(first: Step, second: Step) -> Step:
    return lambda items, scope: second(first(items, scope), scope)


def _indexed(made: Step, index: Step) -> Step:
    def pick(items: Items, scope: Scope) -> Items:
        found, number = made(items, scope), index(items, scope)
        return found[number[0][0] : number[0][0] + 1] if number else []

    return pick


def _member(name: str) -> Step:
    """Children of a name; of a choice, the one that is there, with its type."""
    shadow = "_" + name

    def walk(items: Items, _scope: Scope) -> Items:
        found: Items = []
        for value, _ in items:
            if type(value) is not dict:
                continue
            if name in value:
                _take(found, value[name], value.get(shadow), None)
            elif shadow in value:
                _take(found, value[shadow], None, None)
            elif value.get("resourceType") == name:
                found.append((value, name))
            else:
                _choice(found, value, name)
        return found

    return walk


def _take(found: Items, child: Any, shadow: Any, kind: str | None) -> None:
    if type(child) is list:
        for at, item in enumerate(child):
            if item is None and type(shadow) is list and at < len(shadow):
                item = shadow[at]  # noqa: PLW2901 - a null stands for what its shadow says
            if item is not None:
                found.append((item, kind))
    elif child is not None:
        found.append((child, kind))


def _choice(found: Items, value: dict[str, Any], name: str) -> None:
    long = len(name)
    for key, child in value.items():
        if key.startswith(name) and key[long : long + 1].isupper():
            _take(found, child, None, _type_of_suffix(key[long:]))


@cache
def _type_of_suffix(suffix: str) -> str:
    lower = suffix[0].lower() + suffix[1:]
    return lower if lower in _PRIMITIVES else suffix


_PRIMITIVES = frozenset(
    [
        "boolean",
        "integer",
        "string",
        "decimal",
        "uri",
        "url",
        "canonical",
        "base64Binary",
        "instant",
        "date",
        "dateTime",
        "time",
        "code",
        "oid",
        "id",
        "markdown",
        "unsignedInt",
        "positiveInt",
        "uuid",
    ]
)
_STRINGS = frozenset(
    ["string", "uri", "url", "canonical", "code", "oid", "id", "markdown", "uuid", "base64Binary"]
)


def _is(value: Any, kind: str | None, wanted: str) -> bool:
    low = wanted[0].lower() + wanted[1:]
    if type(value) is dict:
        if low in _PRIMITIVES:
            return False
        known = value.get("resourceType") or kind
        if known is None:
            raise Unsupported("a type that nothing tells")
        return bool(known == wanted) or wanted in ("Resource", "Element")
    if kind:
        return kind in (wanted, low) or (low == "string" and kind in _STRINGS - {"base64Binary"})
    if low in ("boolean", "integer", "decimal", "date", "dateTime", "time", "instant"):
        return primitive(low)(value)
    return isinstance(value, str)


def _typed(made: Step, sign: str, name: str) -> Step:
    if sign == "is":
        return lambda items, scope: [
            (_is(value, kind, name), None) for value, kind in made(items, scope)
        ]
    return lambda items, scope: [i for i in made(items, scope) if _is(i[0], i[1], name)]


def _truth(items: Items) -> bool | None:
    """A collection as FHIRPath's three-valued truth."""
    if not items:
        return None
    value = items[0][0]
    return value if isinstance(value, bool) else True


def _said(value: bool | None) -> Items:
    return [] if value is None else [(value, None)]


def _operator(sign: str, left: Step, right: Step) -> Step:
    if sign in ("and", "or", "xor", "implies"):
        return _logic(sign, left, right)
    if sign == "|":
        return lambda items, scope: _distinct(left(items, scope) + right(items, scope))
    if sign in ("in", "contains"):
        small, large = (left, right) if sign == "in" else (right, left)
        return lambda items, scope: [
            (any(_same(v, w) for w, _ in large(items, scope)), None)
            for v, _ in small(items, scope)[:1]
        ]
    if sign in ("=", "!=", "~", "!~"):
        return _equality(left, right, sign in ("!=", "!~"))
    return _arithmetic(sign, left, right)


def _equality(left: Step, right: Step, turned: bool) -> Step:
    def compare(items: Items, scope: Scope) -> Items:
        a, b = left(items, scope), right(items, scope)
        if not a or not b:
            return []
        same = len(a) == len(b) and all(_same(x[0], y[0]) for x, y in zip(a, b, strict=True))
        return [(same is not turned, None)]

    return compare


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) is isinstance(b, bool)


def _distinct(items: Items) -> Items:
    kept: Items = []
    for item in items:
        if not any(_same(item[0], other[0]) for other in kept):
            kept.append(item)
    return kept


def _logic(sign: str, left: Step, right: Step) -> Step:
    def judge(items: Items, scope: Scope) -> Items:
        a = _truth(left(items, scope))
        if (sign == "and" and a is False) or (sign == "or" and a is True):
            return [(a, None)]
        if sign == "implies" and a is False:
            return [(True, None)]
        b = _truth(right(items, scope))
        if sign == "and":
            return _said(False if b is False else (True if a and b else None))
        if sign == "xor":
            return _said(None if a is None or b is None else a is not b)
        if sign == "or" or a is None:
            return _said(True if b else (None if a is None or b is None else False))
        return _said(b)

    return judge


def _arithmetic(sign: str, left: Step, right: Step) -> Step:
    work: dict[str, Callable[[Any, Any], Any]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b,
        "div": lambda a, b: a // b,
        "mod": lambda a, b: a % b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    if sign == "&":
        return lambda items, scope: [
            ("".join(str(v) for v, _ in left(items, scope) + right(items, scope)), None)
        ]

    def reckon(items: Items, scope: Scope) -> Items:
        a, b = left(items, scope), right(items, scope)
        if not a or not b:
            return []
        x, y = _comparable(a[0][0], b[0][0])
        if isinstance(x, str) and isinstance(y, str) and sign in ("<", "<=", ">", ">="):
            # Dates of unlike precision are no more than unknown to each other.
            short = min(len(x), len(y))
            if len(x) != len(y) and x[:short] == y[:short]:
                return []
        return [(work[sign](x, y), None)]

    return reckon


def _comparable(x: Any, y: Any) -> tuple[Any, Any]:
    """The numbers of two quantities of one unit; whatever else as it is."""
    if type(x) is not dict or type(y) is not dict:
        return x, y
    if any(x.get(key) != y.get(key) for key in ("system", "code", "unit")):
        raise Unsupported("quantities of unlike units")
    return x["value"], y["value"]


def _function(name: str, given: list[Step]) -> Step:
    from .fhirpath_functions import FUNCTIONS  # noqa: PLC0415 - the two make each other

    if name not in FUNCTIONS:
        raise Unsupported(name)
    return FUNCTIONS[name](*given)


@cache
def compile_rule(expression: str) -> Step | None:
    """A rule's expression as a function of items and scope, or None when it is beyond this part."""
    try:
        return _Parser(_REWORDED.get(expression, expression)).whole()
    except (Unsupported, TypeError, IndexError):
        return None


def holds(rule: Step, item: tuple[Any, str | None], scope: Scope) -> bool | None:
    """Whether a rule holds of an item; None when it cannot be evaluated here."""
    try:
        found = rule([item], scope)
    except (
        Unsupported,
        TypeError,
        ValueError,
        KeyError,
        IndexError,
        ArithmeticError,
        AttributeError,
    ):
        return None
    return _truth(found) is True
