"""Sizes that a week of GPU time makes: ``python -m tests.load`` measures, ``pytest tests/load -m slow`` tests."""
