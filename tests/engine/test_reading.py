"""Images read in the background come in order, and change nothing."""

from __future__ import annotations

import threading

import pytest
import torch

from glip_core import InputError
from odinw_bench.engine import reading
from odinw_bench.engine.reading import read_ahead


def test_results_come_in_order():
    assert [(item, result()) for item, result in read_ahead(range(50), lambda n: n * n, threads=4)] == [
        (n, n * n) for n in range(50)
    ]


def test_the_next_items_are_loaded_while_the_first_is_used():
    begun = [threading.Event() for _ in range(20)]

    def load(n: int) -> int:
        begun[n].set()
        return n

    items = read_ahead(range(20), load, threads=2)
    assert next(items)[1]() == 0
    assert begun[3].wait(timeout=30)  # nobody has asked for it
    assert not begun[8].is_set()  # but no more than a few wait in memory
    assert [result() for _, result in items] == list(range(1, 20))


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_is_raised_where_its_item_is_taken(threads):
    def load(n: int) -> int:
        if n == 3:
            raise InputError("image 3 is broken")
        return n

    taken = []
    with pytest.raises(InputError, match="image 3"):
        for _, result in read_ahead(range(9), load, threads=threads):
            taken.append(result())
    assert taken == [0, 1, 2]


def test_what_is_not_wanted_is_not_loaded():
    loaded: list[int] = []
    for item, result in read_ahead(range(10), loaded.append, threads=2, wanted=lambda n: n % 2 == 1):
        if item not in (2, 6):
            result()  # 0, 4 and 8 are asked for all the same
    assert sorted(loaded) == [0, 1, 3, 4, 5, 7, 8, 9]


def test_leaving_early_loads_no_more():
    loaded: list[int] = []
    items = read_ahead(range(10_000), loaded.append, threads=2)
    next(items)
    items.close()
    assert len(loaded) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("images")]


def test_no_threads_beside_a_model_on_the_processor(monkeypatch):
    assert reading.reading_threads(torch.device("cpu")) == 0
    monkeypatch.setattr(reading, "cores", lambda: 16)
    assert reading.reading_threads(torch.device("cuda")) == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert reading.reading_threads(torch.device("cuda")) == 2
