"""Every row of the seed page has a test that bears its id."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# Several members at once come later (SD-09, SD-10, SD-36); SD-55 is no behaviour.
LATER = {9, 10, 36}
ROWS = [f"SD-{n:02}" for n in range(1, 55) if n not in LATER]


def marked() -> dict[str, list[str]]:
    """The tests by row, read from the source: no test is run or imported for it."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for row in _rows(node):
                    found[row].append(f"{file.relative_to(TESTS)}::{node.name}")
    return found


def _rows(test: ast.FunctionDef) -> list[str]:
    return [
        ast.literal_eval(argument)
        for decorator in test.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.seed"
        for argument in decorator.args
    ]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_shown_by_a_test(row: str) -> None:
    assert marked()[row]


def test_no_test_names_a_row_that_is_not_there() -> None:
    every = {f"SD-{n:02}" for n in range(1, 56)}
    assert marked().keys() <= every
