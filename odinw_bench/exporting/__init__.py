"""Exported detectors as ONNX files: written by torch's exporter, run by ONNX Runtime."""

from odinw_bench.exporting.session import open_onnx, read_facts
from odinw_bench.exporting.writing import PRECISIONS, write_onnx

__all__ = ["PRECISIONS", "open_onnx", "read_facts", "write_onnx"]
