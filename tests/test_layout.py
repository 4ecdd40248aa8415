"""The architecture: who may import whom, and what is light."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


MOST_LINES = 300
MOST_MODULES = 12  # at the root of a package that is installed
MOST_FLOORS = 10


def modules() -> list[Path]:
    """Every module but the tests."""
    return [path for place in ("glip_core", "odinw_bench", "tools") for path in sorted((ROOT / place).rglob("*.py"))]


def test_a_module_is_read_in_one_sitting():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    assert not {path: lines for path, lines in long.items() if lines > MOST_LINES}


@pytest.mark.parametrize("package", ["glip_core", "odinw_bench"])
def test_the_root_of_a_package_has_few_modules(package):
    assert len([path for path in (ROOT / package).glob("*.py") if not path.stem.startswith("__")]) <= MOST_MODULES


def hands_on(node: ast.stmt) -> bool:
    """Whether a statement does nothing but hand names on: at once, for type checkers, or when they are first used."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING" and all(map(hands_on, node.body)) and not node.orelse
    if isinstance(node, ast.FunctionDef):
        return node.name in ("__getattr__", "__dir__")
    if isinstance(node, ast.Assign):  # the list of names, the version, and where names lie
        return {ast.unparse(target) for target in node.targets} <= {"__all__", "__version__", "_HOME", "_MODULES"}
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, ast.Import | ast.ImportFrom)


def test_init_files_only_hand_names_on():
    files = [path for path in modules() if path.name == "__init__.py"]
    assert len(files) > 10
    for path in files:
        for node in ast.parse(path.read_text()).body:
            assert hands_on(node), f"{path.relative_to(ROOT)}:{node.lineno} does more than hand names on"


def test_few_floors_lie_between_the_command_line_and_the_core():
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    floors = contract["importlinter:contract:house"]["layers"].split("\n")
    floors = [floor.strip() for floor in floors if floor.strip()]
    assert (floors[0], floors[-1]) == ("odinw_bench.cli", "glip_core")
    assert len(floors) <= MOST_FLOORS


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
    allowed = {"glip_core", "torch", "torchvision", "tokenizers", "safetensors"}
    allowed |= {"huggingface_hub", "PIL", "numpy"}  # they come with tokenizers and torchvision
    allowed |= {"pandas", "supervision"}  # of Detections' to_pandas and to_supervision alone, imported when called
    allowed |= {"spacy"}  # another reader of noun phrases, imported when asked for
    allowed |= {"triton"}  # of one kernel, imported where it is asked for
    for path in (ROOT / "glip_core").rglob("*.py"):
        here = allowed | {"transformers"} if path.parent.name == "hf" else allowed
        foreign = {name.split(".")[0] for name in imported(path)} - here - set(sys.stdlib_module_names)
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
