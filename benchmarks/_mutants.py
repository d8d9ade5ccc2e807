"""Mutants of a source file: cosmic-ray's operators, at places drawn by a seed."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}
BITWISE = {"BitAnd", "BitOr", "BitXor"}
IDENTITY = {"Is", "IsNot"}
OTHERS = (
    "AddNot", "ExceptionReplacer", "NumberReplacer", "RemoveDecorator", "ReplaceAndWithOr",
    "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ZeroIterationForLoop",
)  # fmt: skip

Place = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """One change: the operator's `occurrence` in a file."""

    operator: str
    occurrence: int
    place: Place  # line from 1, column from 0


def sensible(operator: str) -> bool:
    """Whether a mutant of this kind can live, and can differ.

    Left out: a float shifted or and-ed, which dies of a TypeError wherever it is reached, and
    `==` made `is`, which is the same for the small integers and the strings that are compared.
    """
    if operator in OTHERS or operator.startswith("ReplaceUnaryOperator"):
        return True
    match = re.fullmatch(r"Replace(Binary|Comparison)Operator_(\w+)_(\w+)", operator)
    if match is None:
        return False
    kind, old, new = match.groups()
    families = (ARITHMETIC, BITWISE) if kind == "Binary" else (IDENTITY,)
    alike = any(old in family and new in family for family in families)
    return alike or (kind == "Comparison" and not {old, new} & IDENTITY)


@cache
def operators() -> dict[str, object]:
    """The operators of cosmic-ray that are used, by name."""
    from cosmic_ray.operators.provider import OperatorProvider

    provider = OperatorProvider()
    return {name: provider[name]() for name in sorted(provider) if sensible(name)}


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a file, but those of its annotations, which decide nothing."""
    from cosmic_ray.ast import ast_nodes, get_ast

    hidden = list(_annotations(source))
    nodes = list(ast_nodes(get_ast(source)))
    found = []
    for name, operator in operators().items():
        occurrence = 0
        for node in nodes:
            for start, _ in operator.mutation_positions(node):  # type: ignore[attr-defined]
                if not any(low <= tuple(start) < high for low, high in hidden):
                    found.append(Mutant(name, occurrence, tuple(start)))
                occurrence += 1
    return found


def mutated(source: str, mutant: Mutant) -> str:
    """The file with the change made."""
    from cosmic_ray.mutating import mutate_code

    code = mutate_code(source, operators()[mutant.operator], mutant.occurrence)
    assert code is not None
    return str(code)


def draw(sources: dict[Path, str], count: int, seed: int) -> dict[Path, list[Mutant]]:
    """At least `count` mutants, a file's share being that of its places, and one of each place.

    A place is drawn first and one of its mutants then: a `+`, which can become six other signs,
    is no more likely to be changed than a `True`.
    """
    places: dict[Path, dict[Place, list[Mutant]]] = {}
    for path, source in sources.items():
        found = places.setdefault(path, {})
        for mutant in mutants(source):
            found.setdefault(mutant.place, []).append(mutant)
    total = sum(map(len, places.values()))
    drawn = {}
    for path, found in places.items():
        share = min(len(found), -(-count * len(found) // total))
        generator = random.Random(f"{seed} {path.name}")
        chosen = generator.sample(sorted(found), share)
        drawn[path] = [generator.choice(found[place]) for place in sorted(chosen)]
    return drawn


def _annotations(source: str) -> Iterator[tuple[Place, Place]]:
    """Where annotations, type aliases and overloads' stubs stand."""
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.FunctionDef):
            parts.append(node.returns)
        elif isinstance(node, ast.arg):
            parts.append(node.annotation)
        elif isinstance(node, ast.AnnAssign):
            parts.append(node.annotation)
            if isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias":
                parts.append(node.value)
        for part in filter(None, parts):
            assert part.end_lineno is not None
            assert part.end_col_offset is not None
            yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)
