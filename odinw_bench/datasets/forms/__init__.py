"""How data sets are written down: COCO, YOLO, Pascal VOC, Hugging Face's folders."""

from odinw_bench.datasets.forms.base import WHOLE, Form
from odinw_bench.datasets.forms.splitting import SPLIT_SEED, complete, divide, split_note
from odinw_bench.datasets.forms.table import FORMS, find_form, layouts, recognise, what_is_there

__all__ = [
    "FORMS",
    "SPLIT_SEED",
    "WHOLE",
    "Form",
    "complete",
    "divide",
    "find_form",
    "layouts",
    "recognise",
    "split_note",
    "what_is_there",
]
