# just NAME: what is done often. https://just.systems

python := ".venv/bin/python"

# list the recipes
default:
    @just --list

# an environment with everything that the tests need
install:
    python3 -m venv .venv
    .venv/bin/pip install -e '.[dev,docs,demo]'

# the default suite
test *ARGUMENTS:
    {{python}} -m pytest {{ARGUMENTS}}

# style, types, layers
check:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy
    .venv/bin/lint-imports

# all that CI runs
ci:
    .ci/run

# the documentation site, on this computer
docs:
    .venv/bin/mkdocs serve

# the page to try prompts on
demo:
    {{python}} -m odinw_bench demo

# a wheel in dist/
wheel:
    .venv/bin/pip wheel --no-deps --wheel-dir dist .

# build the wheel, install it into an empty environment, and run a short script of a user's in it (downloads torch)
stranger: wheel
    {{python}} -m tools.stranger dist

# all CPU ratios of docs/speed.md with their spread; half an hour on two free cores
bench:
    {{python}} -m tests.benchmarks.all
