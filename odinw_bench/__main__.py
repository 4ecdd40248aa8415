"""``python -m odinw_bench`` is ``odinw-bench``."""

from odinw_bench.cli import main

if __name__ == "__main__":
    main()
