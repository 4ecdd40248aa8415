"""Ways of testing: how a task's test split is detected in, and how the predictions are scored."""

from odinw_bench.evaluation.base import COCO, Conditions, Evaluation
from odinw_bench.evaluation.table import EVALUATIONS, evaluation_of, find_evaluation, recorded_evaluation

__all__ = ["COCO", "EVALUATIONS", "Conditions", "Evaluation", "evaluation_of", "find_evaluation", "recorded_evaluation"]
