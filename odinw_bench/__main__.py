"""``python -m odinw_bench`` is ``odinw-bench``."""

import sys
from pathlib import Path

import odinw_bench

if __name__ == "__main__":
    # Python puts the current folder first; as ``odinw-bench`` this program would import nothing that lies there.
    here = Path.cwd().resolve()
    first = Path(sys.path[0] or ".").resolve()
    if not sys.flags.safe_path and first == here != Path(odinw_bench.__file__).resolve().parents[1]:
        del sys.path[0]
    from odinw_bench.cli import main

    main()
