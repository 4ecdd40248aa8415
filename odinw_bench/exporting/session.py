"""ONNX files run by ONNX Runtime, as detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glip_core.errors import InputError
from glip_core.exporting import ExportedDetector, ExportFacts
from glip_core.exporting.facts import KEY
from glip_core.exporting.program import text_file
from glip_core.exporting.replay import Graph
from odinw_bench.exporting.packages import need


def read_facts(path: Path) -> ExportFacts:
    """What an ONNX file says of itself; the graph is not optimised for it.

    Raises:
        InputError: the file is missing, is no ONNX model, or was not exported by this program.
    """
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _facts(_session(path, ["CPUExecutionProvider"], options), path)


def open_onnx(path: Path, device: str = "cpu") -> ExportedDetector:
    """The detector of an ONNX file, with as many threads as torch has now.

    Args:
        path: that :func:`odinw_bench.exporting.write_onnx` wrote.
        device: ``cpu``, or ``cuda[:N]`` where ONNX Runtime has its CUDA provider.

    Raises:
        InputError: see :func:`read_facts`; or there is no such provider.
    """
    runtime = need("onnxruntime")
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        if "CUDAExecutionProvider" not in runtime.get_available_providers():
            raise InputError("ONNX Runtime has no CUDA here: --device cpu, or pip install onnxruntime-gpu")
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2] or 0)}))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    network = _session(path, providers, options)
    facts = _facts(network, path)
    text = _graph(_session(text_file(path), providers, options)) if facts.vocabulary else None
    return ExportedDetector(facts, _graph(network), text)


def _facts(session: Any, path: Path) -> ExportFacts:
    return ExportFacts.loads(session.get_modelmeta().custom_metadata_map.get(KEY), where=str(path))


def _session(path: Path, providers: list[Any], options: Any) -> Any:
    if not path.is_file():
        raise InputError(f"'{path}' not found: make it with odinw-bench export model --format onnx")
    options.log_severity_level = 3  # errors
    try:
        return need("onnxruntime").InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # the runtime's errors have no common class
        raise InputError(f"'{path}' is no ONNX model that ONNX Runtime can read; export it again") from error


def _graph(session: Any) -> Graph:
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        given = {name: value.contiguous().numpy() for name, value in zip(names, inputs, strict=True)}
        return [torch.from_numpy(found) for found in session.run(None, given)]

    return run
