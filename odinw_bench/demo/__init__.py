"""A page to try prompts on: photo in, boxes out."""

from odinw_bench.demo.looking import Detectors, Shown, what_words_add, with_prompts

__all__ = ["Detectors", "Shown", "what_words_add", "with_prompts"]
