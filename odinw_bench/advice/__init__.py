"""From one's own labelled images to a decision: which way of adapting, what to expect of it, at what cost."""

from odinw_bench.advice.answer import Advice, advise
from odinw_bench.advice.settings import DEFAULT_MODES, AdviceSettings

__all__ = ["DEFAULT_MODES", "Advice", "AdviceSettings", "advise"]
