"""How a detector learns and detects: recipes, the training loop, detection of whole splits, frozen features."""
