"""``odinw-bench doctor``: what a bug report needs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import typer

from odinw_bench import __version__
from odinw_bench.cli._console import console, print_json, table
from odinw_bench.cli._options import Json

app = typer.Typer()

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
    "pycocotools",
    "numpy",
    "pillow",
    "typer",
)
_PRECISIONS = ("fp32", "bf16")
"""Of which the matrix product is timed on the CPU: bf16 pays only where its rate is the higher one."""


@app.command()
def doctor(as_json: Json = False) -> None:
    """Versions, devices, caches and free disk: for bug reports."""
    facts = collect()
    if as_json:
        print_json(facts)
        return
    console().print(table("odinw-bench doctor", ["", ""], [[name, str(value)] for name, value in facts.items()]))


def collect() -> dict[str, Any]:
    """The facts; nothing of the network is touched."""
    import torch
    from huggingface_hub.constants import HF_HUB_CACHE

    from odinw_bench.datasets.sources import DATA_ROOT_VARIABLE
    from odinw_bench.profiling.operations import matrix_product_rate

    def version(package: str) -> str:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return "not installed"

    gpus = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    rates = [f"{kind} {matrix_product_rate('cpu', kind, side=1024, seconds=0.1) / 1e9:.0f}" for kind in _PRECISIONS]
    return {
        "odinw-bench": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        **{package: version(package) for package in _PACKAGES},
        "threads": torch.get_num_threads(),
        "matrix product, GFLOP/s": ", ".join(rates),
        "GPUs": ", ".join(gpus) or "none",
        "hub cache": HF_HUB_CACHE,
        DATA_ROOT_VARIABLE: os.environ.get(DATA_ROOT_VARIABLE, "not set"),
        "free disk here": f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB",
    }
