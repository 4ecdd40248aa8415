"""Traced detectors -> ONNX files, in single, half or 8-bit precision."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.export import ExportedProgram

from glip_core.errors import InputError
from glip_core.exporting import INPUTS, TEXT_INPUTS, Traced, output_names
from glip_core.exporting.facts import KEY
from glip_core.exporting.program import text_file
from odinw_bench.exporting.packages import need

PRECISIONS = ("fp32", "fp16", "int8")

OPSET = 20
"""Has GELU (20) and the deformable convolution (19); ONNX Runtime has both on CPUs."""

_IN_FLOAT32 = ("DeformConv", "ReduceSum", "InstanceNormalization", "LayerNormalization", "Softmax", "ReduceL2", "Range")
"""Not in half precision: positions, and sums over many values."""

_LINEAR = ("MatMul", "Gemm")
"""What becomes 8-bit: dynamic quantisation of convolutions is slower than what it replaces."""

_LARGEST_FILE = 2**31 - 2**20  # bytes; what the format allows in one file


def write_onnx(traced: Traced, path: Path, *, precision: str = "fp32") -> list[Path]:
    """Write a traced detector as ONNX.

    Args:
        traced: in float32.
        path: of the image's graph; that of a dynamic prompt's text lies beside it, as ``NAME.text.onnx``.
        precision: ``fp32``; ``fp16``, float16 but for sums and positions; or ``int8``, dynamic quantisation of the
            linear layers' weights by channel, with activations quantised as they come.

    Returns:
        The files that were written.

    Raises:
        InputError: the packages of the extra ``export`` are missing, or the detector is too large for one file.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        need(package)
    levels = len(traced.facts.config.anchor_strides)
    inputs = INPUTS if traced.text is not None else INPUTS[:1]
    facts = {KEY: traced.facts.with_precision(precision).dumps()}
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(traced.network, path, inputs, output_names(levels), facts, precision)
    if traced.text is None:
        return [path]
    _write(traced.text, text_file(path), TEXT_INPUTS, INPUTS[1:], facts, precision)
    return [path, text_file(path)]


def _write(
    program: ExportedProgram,
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    facts: Mapping[str, str],
    precision: str,
) -> None:
    if sum(x.numel() * x.element_size() for x in program.state_dict.values()) > _LARGEST_FILE:
        raise InputError(
            "the detector has more than 2 GB of weights, which one ONNX file cannot hold: export a smaller"
        )
    import onnx

    with TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        file = Path(folder) / "model.onnx"
        with _quiet(), torch.no_grad():  # gradients would choose other ways to compute attention
            made = torch.onnx.export(
                program,
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                custom_translation_table=_translations(),
                optimize=False,  # minutes of searching for what ONNX Runtime finds when it loads the file
                verbose=False,
            )
            assert made is not None
            made.save(file, external_data=False)
        model = _CONVERSIONS[precision](file)
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, dict(facts))
        whole = Path(folder) / "whole.onnx"
        onnx.save(model, whole)
        whole.replace(path)


def _as_it_is(file: Path) -> Any:
    import onnx

    return onnx.load(file)


def _to_half(file: Path) -> Any:
    """Inputs and outputs stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    blocked = [*DEFAULT_OP_BLOCK_LIST, *_IN_FLOAT32]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of each constant that is rounded to the least half-precision number
        return convert_float_to_float16(onnx.load(file), keep_io_types=True, op_block_list=blocked)


def _to_int8(file: Path) -> Any:
    import onnx
    from onnxruntime.quantization import QuantType, quant_pre_process, quantize_dynamic

    ready, quantised = file.with_name("ready.onnx"), file.with_name("quantised.onnx")
    with _quiet():
        # Constants folded first: which matrices are weights is then seen.
        quant_pre_process(file, ready, skip_symbolic_shape=True)
        model = onnx.load(ready)
        flat = {one.name for one in model.graph.initializer if len(one.dims) == 2}
        others = [node.name for node in model.graph.node if node.op_type in _LINEAR and node.input[1] not in flat]
        quantize_dynamic(
            ready,
            quantised,
            op_types_to_quantize=list(_LINEAR),
            nodes_to_exclude=others,  # channels of a stack of matrices are not what the quantiser takes them for
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    return onnx.load(quantised)


_CONVERSIONS = {"fp32": _as_it_is, "fp16": _to_half, "int8": _to_int8}


def _translations() -> dict[Any, Any]:
    """What torch's exporter does not know.

    torchvision's deformable convolution is ONNX's with its inputs in another order; both take offsets as dy, dx a tap.
    """
    import torchvision  # noqa: F401  registers the operator
    from onnxscript import opset20 as op

    def deform_conv2d(
        x: Any,
        weight: Any,
        offset: Any,
        mask: Any,
        bias: Any,
        stride_h: int,
        stride_w: int,
        pad_h: int,
        pad_w: int,
        dilation_h: int,
        dilation_w: int,
        groups: int,
        offset_groups: int,
        use_mask: bool,
    ) -> Any:
        return op.DeformConv(
            x,
            weight,
            offset,
            bias,
            mask,
            strides=[stride_h, stride_w],
            pads=[pad_h, pad_w, pad_h, pad_w],
            dilations=[dilation_h, dilation_w],
            kernel_shape=[3, 3],
            group=groups,
            offset_group=offset_groups,
        )

    return {torch.ops.torchvision.deform_conv2d.default: deform_conv2d}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' progress and warnings, which say nothing that a user could act on."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
