"""Searching for the words of a prompt, or for hyper-parameters, on the few labelled images: Optuna's studies."""

from odinw_bench.search.prompt_search import (
    OFFICIAL,
    PLAIN,
    Search,
    begin,
    best_candidate,
    set_up,
    shuffled_control,
    work,
    written_params,
)
from odinw_bench.search.settings import SearchSettings
from odinw_bench.search.study import given_trial

__all__ = [
    "OFFICIAL",
    "PLAIN",
    "Search",
    "SearchSettings",
    "begin",
    "best_candidate",
    "given_trial",
    "set_up",
    "shuffled_control",
    "work",
    "written_params",
]
