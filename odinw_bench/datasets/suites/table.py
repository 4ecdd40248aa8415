"""Which function makes the tasks of each suite. It is imported when the suite is asked for, and opens no data."""

from __future__ import annotations

from collections.abc import Mapping

LOADERS: Mapping[str, str] = {
    "coco": "odinw_bench.datasets.suites.coco:tasks",
    "lvis": "odinw_bench.datasets.suites.lvis:val_tasks",
    "lvis-minival": "odinw_bench.datasets.suites.lvis:minival_tasks",
    "mini-coco": "odinw_bench.datasets.suites.miniatures:coco_tasks",
    "mini-lvis": "odinw_bench.datasets.suites.miniatures:lvis_tasks",
    "rf100vl": "odinw_bench.datasets.suites.rf100vl:rf100vl_tasks",
    "rf20vl": "odinw_bench.datasets.suites.rf100vl:rf20vl_tasks",
    "flickr30k": "odinw_bench.datasets.suites.flickr:tasks",
    "refcoco": "odinw_bench.datasets.suites.refcoco:refcoco",
    "refcoco+": "odinw_bench.datasets.suites.refcoco:refcoco_plus",
    "refcocog": "odinw_bench.datasets.suites.refcoco:refcocog",
    "mini-flickr": "odinw_bench.datasets.suites.mini_sentences:mini_flickr",
    "mini-refexp": "odinw_bench.datasets.suites.mini_sentences:mini_refexp",
}
"""By the suite's name, ``PACKAGE.MODULE:FUNCTION`` that returns a list of tasks. The names are those of
:data:`odinw_bench.datasets.task.BUILT_IN_SUITES`, but for ODinW's own and ``mini``."""
