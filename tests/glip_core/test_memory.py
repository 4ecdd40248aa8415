"""Freed memory is kept, so that large arrays cost page faults only once."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from glip_core.memory import keep_freed_memory

_PROGRAM = """
import resource, sys
import torch
from glip_core.memory import keep_freed_memory
assert keep_freed_memory(sys.argv[1] == "keep")
for _ in range(20):  # the heap settles after a few
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(24_000_000)  # 96 MB, beyond what glibc keeps by itself
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.integration
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")
def test_freed_memory_is_used_again():
    kept, returned = (
        int(subprocess.run([sys.executable, "-c", _PROGRAM, how], check=True, capture_output=True, text=True).stdout)
        for how in ("keep", "return")
    )
    assert kept < 20  # a page or two of the interpreter's own
    assert returned > 20  # 46 pages of 2 MiB where the system makes huge ones, else 23,437 of 4 KiB


class Library:
    """A C library of glibc's interface that refuses what older ones refuse."""

    def __init__(self, largest):
        self.largest, self.settings, self.trimmed = largest, {}, 0

    def mallopt(self, name, value):
        if name == -3 and value > self.largest:
            return 0
        self.settings[name] = value
        return 1

    def malloc_trim(self, _):
        self.trimmed += 1


@pytest.mark.parametrize("largest", [32 << 20, 2**31 - 1])
def test_an_older_c_library_keeps_memory_too(largest, monkeypatch):
    """glibc 2.31 takes no mapping threshold beyond 32 MiB."""
    library = Library(largest)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda _: library)
    assert keep_freed_memory()
    assert library.settings[-1] == 2**31 - 1  # trimmed never
    assert library.settings.get(-3, 0) > 1 << 30 or library.settings[-4] == 0  # mapped from there on, or never
    assert keep_freed_memory(False)
    assert library.settings == {-1: 64 << 20, -3: 32 << 20, -4: 1 << 16}
    assert library.trimmed == 1


def test_a_loaded_detector_keeps_memory_unless_told_not_to(monkeypatch):
    import glip_core

    called = []
    monkeypatch.setattr("glip_core.builder.keep_freed_memory", lambda: called.append(True))
    glip_core.load("dyhead-nano", keep_memory=False)
    assert not called
    glip_core.load("dyhead-nano")
    assert called
