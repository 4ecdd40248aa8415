"""What a command may answer to a bad input."""

from __future__ import annotations

from tests.cli.conftest import Answer


def sound(answer: Answer, *words: str) -> str | None:
    """Check an answer: done without a traceback (None), or refused in one line, which is returned.

    Args:
        answer: of the program; a traceback would have reached pytest as the exception itself.
        words: of which a refusal must hold each, such as the file's name.
    """
    assert "Traceback" not in answer.err + answer.out
    if answer.code == 0:
        return None
    line = answer.refused()
    for word in words:
        assert word in line, (word, line)
    return line
