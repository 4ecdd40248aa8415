"""Twenty of the random kills; ``python -m tests.faults.kills --kills 1000`` makes more."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_after_random_kills_the_numbers_are_the_same(tried):
    command = [sys.executable, "-m", "tests.faults.kills", "--kills", "20", "--seed", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    (kills,) = re.findall(r"^(\d+) kills, seed 4: ", done.stdout, re.MULTILINE)
    assert int(kills) == 20
    tried("fault: a small command killed at a random moment", 20)
