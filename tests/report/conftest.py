"""Grids of made-up records to report on."""

from __future__ import annotations

import pytest

from tests.report import made

HOSTILE = "<img src=x onerror=alert(1)>&\"'|*_$%#{}~^\\"


@pytest.fixture(scope="session")
def grid(tmp_path_factory):
    """Two drawn tasks, three models, four modes, some shots and seeds; a few cells are missing, one failed."""
    results = tmp_path_factory.mktemp("grid") / "results"
    better = {"glip-nano-a": 0.0, "glip-nano": 0.12, "dyhead-nano": -0.05}
    cells = [("zero-shot", 0, 3), ("manual", 0, 3)]
    cells += [(mode, shots, seed) for mode in ("prompt", "linear") for shots in (1, 5) for seed in (3, 30)]
    for model, bonus in better.items():
        for mode, shots, seed in cells:
            for dataset in ("aquarium", "packages"):
                if model == "dyhead-nano" and mode != "linear":
                    continue
                if (model, mode, shots, dataset) == ("glip-nano-a", "linear", 5, "packages"):
                    continue  # a configuration without one of the tasks
                if (model, mode, shots, dataset, seed) == ("glip-nano", "prompt", 5, "aquarium", 30):
                    continue  # and one without one of the seeds
                quality = 0.4 + bonus + 0.04 * shots + 0.1 * (mode == "manual")
                made.write_drawn(results, quality, model=model, mode=mode, shots=shots, seed=seed, dataset=dataset)
    made.write(results, made.record(made.spec(dataset="aquarium", mode="full"), error=f"RuntimeError: {HOSTILE}"))
    return results
