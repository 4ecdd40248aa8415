"""Bad and odd input, by the hundred: work that is right, or one line that names the file; never a traceback.

``pytest tests/inputs`` prints at its end how many inputs were tried.
"""
