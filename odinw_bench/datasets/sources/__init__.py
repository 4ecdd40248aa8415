"""Where the data of a task come from: files under a data root, a folder of the user's, or the drawn miniature."""

from odinw_bench.datasets.sources.files import DATA_ROOT_VARIABLE
from odinw_bench.datasets.sources.opening import FORMATS, draw_shots, few_shot_subset, is_present, open_split

__all__ = ["DATA_ROOT_VARIABLE", "FORMATS", "draw_shots", "few_shot_subset", "is_present", "open_split"]
