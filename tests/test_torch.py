"""Names that torch calls private: what the library leans on is listed, and is there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PRIVATE = {
    "torch._fused_adam_": "Adam's kernel, without the optimizer around it",
    "torch._C._are_functorch_transforms_active": "whether vmap or vjp is at work",
    "torch.nn.utils.parametrize._cache": "spectral norms that were computed already",
    "torch.nn.modules.batchnorm._BatchNorm": "all kinds of BatchNorm",
    "torch.nn.modules.batchnorm._NormBase": "all kinds of norms that may keep running statistics",
    "torch.nn.modules.dropout._DropoutNd": "all kinds of dropout",
}
"""What each is used for; where torch drops one, its place in the library needs another way."""


@pytest.mark.parametrize("name", PRIVATE)
def test_private_names_of_torch_are_there(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(module), attribute), f"torch has no {name} any more"


def private_names(file: Path) -> set[str]:
    """Return the private names that a file takes from torch, in full."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {"torch": "torch"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            imported |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    names = {full for full in imported.values() if "._" in full}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr[0] == "_" and node.attr[-2:] != "__":
            root, _, rest = ast.unparse(node).partition(".")
            names |= {f"{imported[root]}.{rest}"} if root in imported else set()
    return names - {"torch._C", "torch._utils"}


def test_no_others_are_used() -> None:
    files = [*(ROOT / "eqgan").rglob("*.py"), *(ROOT / "solvers").glob("*.py")]
    found = set().union(*map(private_names, files))
    assert found == set(PRIVATE)
