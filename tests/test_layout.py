"""The architecture: who may import whom, and what is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_the_core_knows_nothing_of_the_benchmark():
    for path in (ROOT / "glip_core").rglob("*.py"):
        assert not any(name.startswith("odinw_bench") for name in imported(path)), path


def test_the_core_needs_few_packages():
    allowed = {"glip_core", "torch", "torchvision", "timm", "transformers", "tokenizers", "safetensors"}
    allowed |= {"huggingface_hub", "PIL", "numpy"}  # they come with transformers and torchvision
    allowed |= {"pandas", "supervision"}  # of Detections' to_pandas and to_supervision alone, imported when called
    for path in (ROOT / "glip_core").rglob("*.py"):
        foreign = {name.split(".")[0] for name in imported(path)} - allowed - set(sys.stdlib_module_names)
        assert not foreign, (path, foreign)


@pytest.mark.integration
@pytest.mark.parametrize(
    "module",
    [
        "glip_core",
        "odinw_bench",
        "odinw_bench.cli",
        "odinw_bench.runs.spec",
        "odinw_bench.datasets.registry",
        "odinw_bench.runs.record",
    ],
)
def test_light_modules_do_not_bring_torch(module):
    code = f"import {module}, sys; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_circles():
    """Imports at the top of modules form no circle."""
    graph = {}
    for package in ("glip_core", "odinw_bench"):
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            body = ast.parse(path.read_text()).body
            names = {node.module for node in body if isinstance(node, ast.ImportFrom) and node.module}
            names |= {
                f"{node.module}.{a.name}" for node in body if isinstance(node, ast.ImportFrom) for a in node.names
            }
            # "from package import module" by a module of that package is about the module, not about the package.
            names -= {n for n in names if name.startswith(f"{n}.")}
            graph[name] = {n for n in names if n.startswith(("glip_core", "odinw_bench")) and n != name}

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path, name])
        for following in sorted(graph.get(name, ())):
            if following in graph and name not in finished:
                walk(following, (*path, name))
        finished.add(name)

    finished: set[str] = set()
    for name in graph:
        walk(name, ())
