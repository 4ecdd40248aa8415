"""What runs in another way on a CPU, and when: the same results in less time."""

from glip_core.modeling.cpu.choice import (
    disable_cpu_paths,
    general_paths_without_padding,
    has_no_padding,
    use_convolution,
    use_rows_of_positions,
    use_sampling_table,
)
from glip_core.modeling.cpu.linear import PixelLinear
from glip_core.modeling.cpu.table import bilinear_taps, bordered_table, gather_and_multiply, table_rows

__all__ = [
    "PixelLinear",
    "bilinear_taps",
    "bordered_table",
    "disable_cpu_paths",
    "gather_and_multiply",
    "general_paths_without_padding",
    "has_no_padding",
    "table_rows",
    "use_convolution",
    "use_rows_of_positions",
    "use_sampling_table",
]
