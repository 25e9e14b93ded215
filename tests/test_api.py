"""House rules as tests."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from conftest import REPOSITORY

import merjax
from merjax import ops

SOURCES = sorted((REPOSITORY / "merjax").rglob("*.py"))
NAMES = ["losses", "metrics", "cache", *(f"ops.{module.name}" for module in pkgutil.iter_modules(ops.__path__))]
MODULES = [importlib.import_module(f"{merjax.__name__}.{name}") for name in NAMES]
FUNCTIONS = [
    pytest.param(function, id=f"{module.__name__}.{name}")
    for module in MODULES
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and not name.startswith("_")
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_public_function_is_documented_typed_and_takes_its_key_first(function):
    assert inspect.getdoc(function)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for position, parameter in enumerate(signature.parameters.values()):
        assert parameter.annotation is not inspect.Parameter.empty, parameter
        if parameter.name == "key":
            assert position == 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_files_stay_small_and_have_names(path: Path):
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in {"utils", "helpers", "misc", "base"}
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_data_readers_import_no_jax():
    for path in (REPOSITORY / "merjax" / "data").glob("*.py"):
        names = {
            name.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for name in node.names
        }
        assert "jax" not in names, path
