"""What the tables of ratios are made of runs, on the smallest of everything."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
import torch

from glip_core.detector import GLIP
from tests.benchmarks import all as all_ratios
from tests.benchmarks import int8, ratios, tuning
from tests.benchmarks.others import cpu_seconds, detect_by_grounding_dino, evaluation
from tests.benchmarks.tuning import tuner


def test_a_row_has_the_ratio_of_medians_and_the_spread_of_turns():
    assert ratios.row("a / b", [2.0, 6.0, 4.0], [1.0, 2.0, 2.0]) == "| a / b | 4.000 | 2.000 | 2.00 | 2.00 to 3.00 |"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_another_detector(precision):
    scores = detect_by_grounding_dino(precision, small=True)()
    assert isinstance(scores, torch.Tensor)
    assert scores.shape[:2] == (1, 20)


def test_two_evaluators_see_the_same():
    pytest.importorskip("hotcoco")
    first, second = (evaluation(5, quick=quick)() for quick in (False, True))
    assert (first["precision"][..., -1] == second["precision"][..., -1]).all()


def test_a_step_of_tuning_takes_its_images_together_or_one_by_one():
    prepared = tuner("glip-nano", images=2, size=(64, 64))
    together, apart = prepared.step(), prepared.step(together=False)
    seen = []
    with mock.patch.object(GLIP, "run_heads", autospec=True, side_effect=GLIP.run_heads) as heads:
        for step in (together, apart):
            assert step()
            seen.append([len(call.args[1][0]) for call in heads.call_args_list])
            heads.reset_mock()
    assert seen == [[2], [1, 1]]


@pytest.mark.slow
def test_the_table_of_steps(capsys):
    tuning.table(lambda: tuning.sides("glip-nano", small=True), runs=1)
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[1].strip() for row in rows].count("bf16") == 5
    assert rows[0][3].strip() == "1.00"
    assert all(float(row[5]) >= 0 for row in rows)


def test_linear_layers_in_int8():
    """Values are rounded to 255 steps of their tensor's range, weights to 127 of their row's."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.GELU(), torch.nn.Linear(48, 64))
    x = torch.randn(5, 7, 64)
    with torch.no_grad():
        expected = network(x)
        assert int8.to_int8(network) == 2
        error = network(x) - expected
    assert 0 < error.square().mean().sqrt() < 0.02 * expected.square().mean().sqrt()


@pytest.mark.slow
def test_int8_changes_ap_little(capsys):
    int8.table(["raccoon"])
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].strip() for row in rows] == ["names", "attributes"]
    assert all(abs(float(row[1]) - float(row[2])) < 5 for row in rows)


def test_the_output_goes_between_the_marks_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{all_ratios.BEGIN}\nold\n{all_ratios.END}\nafter\n", encoding="utf-8")
    all_ratios.put("new", page)
    assert page.read_text(encoding="utf-8") == f"before\n{all_ratios.BEGIN}\n\nnew\n\n{all_ratios.END}\nafter\n"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(SystemExit, match="lacks the marks"):
        all_ratios.put("new", page)


def test_the_page_of_numbers_has_the_marks():
    all_ratios.put("", Path("docs/speed.md"), check=True)


@pytest.mark.integration
def test_whole_programs():
    found = {}
    cpu_seconds(20, 1, found.__setitem__)
    assert len(found) == 2
    assert all(0 < seconds < 600 for (seconds,) in found.values())
