"""``watch``: what runs, what is done, and progress lines of a grid without a terminal."""

from __future__ import annotations

import json
import re

from odinw_bench.runs.begun import begun
from odinw_bench.runs.progress import CellProgress

QUICK = (
    "--set",
    "epochs=2,repeats_per_epoch=1,min_steps_per_epoch=1",
    "--shots",
    1,
    "--mode",
    "prompt",
    "--engine",
    "local",
)


def test_a_grid_says_a_line_an_epoch_and_how_long_it_takes(cli, tmp_path):
    answer = cli("run", "--dataset", "packages", "--seed", "3,30", *QUICK, "--results", tmp_path)
    assert answer.code == 0, answer.err
    lines = [line for line in answer.err.splitlines() if "epoch " in line]
    assert len(lines) == 4
    assert all(re.search(r": epoch [12]/2: loss \d+\.\d{3}.* of tuning left$", line) for line in lines), lines
    first, last = (line for line in answer.err.splitlines() if re.match(r"\[\d/2\]", line))
    assert re.search(r": AP [\d.]+, about [\d.]+ (s|min) left$", first)
    assert re.search(r": AP [\d.]+$", last)

    scratch = next(tmp_path.glob("mini/glip-nano/packages")) / ".prompt-9shot.0a1b.part"
    scratch.mkdir()
    progress = CellProgress("glip-nano packages prompt", scratch, lambda _: None)
    progress.begin_tuning(8)
    losses = {"losses": {"box": 0.5}, "validation_AP": 12.3, "best": True, "seconds": 3.0}
    progress.epoch({"epoch": 2, "steps": 2, "lr": 0.1, **losses})
    shown = cli("watch", tmp_path, "--once")
    assert shown.code == 0, shown.err
    assert "1 running, 2 done, 0 failed" in " ".join(shown.out.split())  # a long path breaks the title
    assert re.search(r"glip-nano packages prompt.*tuning, epoch 2/8.*0\.500.*12\.3.*9\.0 s", shown.out)
    answer = json.loads(cli("watch", tmp_path, "--json").out)
    assert answer["records"] == {"done": 2, "failed": 0}
    assert [(one["epoch"], one["lives"]) for one in answer["running"]] == [(2, True)]
    assert answer["grids"] == []  # the grid ended
    with begun(tmp_path, [scratch.with_name("prompt-9shot"), tmp_path / "another"], before=2):
        shown = " ".join(cli("watch", tmp_path, "--once").out.split())
        assert "grid: 2 of 4 runs done, 1 waiting" in shown
        (grid,) = json.loads(cli("watch", tmp_path, "--json").out)["grids"]
    assert grid == {"runs": 4, "done": 2, "failed": 0, "running": 1, "waiting": 1}


def test_a_folder_that_is_not_there(cli, tmp_path):
    assert "no results folder" in cli("watch", tmp_path / "nowhere").refused()
