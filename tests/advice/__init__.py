"""Tests of odinw_bench.advice."""
