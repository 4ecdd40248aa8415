"""Detectors as graphs that other programs run: traced, described, and run again in place of the original."""

from glip_core.exporting.facts import ExportFacts
from glip_core.exporting.program import open_program, write_program
from glip_core.exporting.replay import ExportedDetector
from glip_core.exporting.traced import INPUTS, TEXT_INPUTS, Traced, output_names, trace

__all__ = [
    "INPUTS",
    "TEXT_INPUTS",
    "ExportFacts",
    "ExportedDetector",
    "Traced",
    "open_program",
    "output_names",
    "trace",
    "write_program",
]
