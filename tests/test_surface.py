"""The public names: what is there on purpose, documented, and nothing else."""

import ast
import importlib
import inspect
from pathlib import Path

import attrs
import pytest

import fairq

DOCUMENTED = {
    "values": ["Request", "RequestId", "TokenIds", "Capacity"],
    "policy": ["Policy", "Admission", "LinearCost", "Order", "PrefixCache"],
    "disciplines": ["Discipline", "Dlpm", "Fcfs", "Lpm", "Vtc"],
    "kernel": ["Kernel", "Idle", "Snapshot"],
    "step protocol": [
        "StepPlan",
        "StepResult",
        "StepId",
        "BlockId",
        "Enter",
        "Chunk",
        "DecodeSet",
        "SharedPrefix",
    ],
    "events": ["Events", "Finished", "FinishReason", "Share"],
    "offline": ["plan_offline", "OfflinePlan", "OfflineGroup"],
    "backends": ["Backend", "SyncBackend", "AsyncBackend", "load_backend"],
    "engine": ["open_engine", "Engine", "TokenStream", "Statistics"],
    "errors": [
        "FairqError",
        "RequestRejected",
        "UsageError",
        "BackendError",
        "InvariantError",
        "EngineClosed",
        "ReaderTooSlow",
        "TraceError",
    ],
}
NAMES = sorted(name for names in DOCUMENTED.values() for name in names)
MODULES = [
    "fairq.backend",
    "fairq.cost",
    "fairq.errors",
    "fairq.events",
    "fairq.offline",
    "fairq.order",
    "fairq.plan",
    "fairq.policy",
    "fairq.prefix_cache",
    "fairq.request",
    "fairq.tokens",
]
INTERNAL = {"SCALE", "price", "NO_EVENTS"}
"""Exported by a module for the rest of fairq, and not from the top."""


def objects(kind: type) -> list[str]:
    return [name for name in NAMES if isinstance(getattr(fairq, name), kind)]


CLASSES = objects(type)
VALUES = [name for name in CLASSES if attrs.has(getattr(fairq, name))]


def test_the_public_names_are_the_documented_ones() -> None:
    assert sorted(fairq.__all__) == NAMES


@pytest.mark.parametrize("name", fairq.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert hasattr(fairq, name)


def test_the_public_names_are_in_order() -> None:
    assert sorted(fairq.__all__, key=order) == fairq.__all__


def order(name: str) -> tuple[bool, str]:
    """Classes before functions, as the formatter sorts them."""
    return name[0].islower(), name


@pytest.mark.parametrize("module", MODULES)
def test_what_a_value_module_exports_is_public_or_internal_on_purpose(
    module: str,
) -> None:
    exported = set(importlib.import_module(module).__all__)
    assert exported - INTERNAL <= set(fairq.__all__)


@pytest.mark.parametrize("name", [*CLASSES, "open_engine", "load_backend"])
def test_every_public_name_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(fairq, name))


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_has_a_docstring(name: str) -> None:
    for attribute, value in vars(getattr(fairq, name)).items():
        if not attribute.startswith("_") and is_code(value):
            assert inspect.getdoc(value), f"{name}.{attribute}"


def is_code(value: object) -> bool:
    return inspect.isfunction(value) or isinstance(value, property | classmethod)


SELF_EVIDENT = {
    "Finished": {"request_id", "reason"},
    "Dlpm": {"width", "name"},
    "Fcfs": {"slack", "name"},
    "Lpm": {"slack", "width", "name"},
    "Vtc": {"name"},
    "Snapshot": {"waiting", "running", "preemptions"},
}
"""Fields whose name says all there is to say."""


@pytest.mark.parametrize("name", VALUES)
def test_every_field_of_a_value_is_documented(name: str) -> None:
    value = getattr(fairq, name)
    fields = {field.name for field in attrs.fields(value)}
    undocumented = fields - documented(value) - SELF_EVIDENT.get(name, set())
    assert undocumented == set()


def documented(value: type) -> set[str]:
    """Fields that a string follows in the source of their class."""
    (module,) = {Path(inspect.getfile(value))}
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ClassDef) and node.name == value.__name__:
            return set(fields_with_text(node))
    return set()


def fields_with_text(node: ast.ClassDef) -> list[str]:
    pairs = zip(node.body, node.body[1:], strict=False)
    return [
        field.target.id
        for field, text in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    ]


@pytest.mark.parametrize("name", VALUES)
def test_values_are_frozen(name: str) -> None:
    value = getattr(fairq, name)
    setter = value.__setattr__
    assert setter is not object.__setattr__, f"{name} can be changed"


def test_names_of_the_standard_library_do_not_leak() -> None:
    public = {name for name in vars(fairq) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(getattr(fairq, name))}
    assert public - modules == set(fairq.__all__)
    assert all(getattr(fairq, name).__name__ == f"fairq.{name}" for name in modules)
