"""Pre-training of the nano models on the miniature world, from nothing and reproducibly."""

from odinw_bench.pretraining.data import PretrainingData
from odinw_bench.pretraining.export import card, export_weights
from odinw_bench.pretraining.recipe import CURVE, RECIPES, PretrainRecipe, get_recipe
from odinw_bench.pretraining.train import pretrain

__all__ = ["CURVE", "RECIPES", "PretrainRecipe", "PretrainingData", "card", "export_weights", "get_recipe", "pretrain"]
