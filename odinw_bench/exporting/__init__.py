"""Exported detectors: ONNX files, written by torch's exporter and run by ONNX Runtime; and peft's folders."""

from odinw_bench.exporting.peft_folder import LowRankUpdates, write_peft
from odinw_bench.exporting.session import open_onnx, read_facts
from odinw_bench.exporting.writing import PRECISIONS, write_onnx

__all__ = ["PRECISIONS", "LowRankUpdates", "open_onnx", "read_facts", "write_onnx", "write_peft"]
