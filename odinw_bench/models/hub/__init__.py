"""Detectors of the transformers library: one class per family, and a table of checkpoints."""

from odinw_bench.models.hub.checkpoints import CHECKPOINTS, FAMILIES, Checkpoint

__all__ = ["CHECKPOINTS", "FAMILIES", "Checkpoint"]
