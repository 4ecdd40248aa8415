"""Query detectors of the transformers library, pre-trained on the miniature world from our own backbones."""

from odinw_bench.pretraining.query.learner import FACTS, ClosedLearner, GroundingLearner
from odinw_bench.pretraining.query.networks import NETWORKS, new_network

__all__ = ["FACTS", "NETWORKS", "ClosedLearner", "GroundingLearner", "new_network"]
