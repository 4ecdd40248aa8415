"""The program: its verbs in the order of ``--help``, and how errors of the user's are reported."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from glip_core.errors import InputError
from odinw_bench import __version__
from odinw_bench.cli import (
    advise,
    compare,
    data,
    demo,
    doctor,
    export,
    models,
    predict,
    pretrain,
    profile,
    protocol,
    report,
    run,
    score,
    search,
    show,
    watch,
)
from odinw_bench.cli._argument_help import WithArgumentHelp
from odinw_bench.cli._console import Unpadded, fail
from odinw_bench.utils.locks import BusyError

app = typer.Typer(
    name="odinw-bench",
    cls=WithArgumentHelp,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=r"""Which way of adapting a language-pre-trained detector should I use, what will I get, what will it cost?

GLIP, DyHead, Grounding DINO and other detectors on ODinW and on your own images: zero-shot, manual prompts, prompt
tuning, linear probe, LoRA, full tuning and more, by shots and seeds. Everything runs at once on the embedded miniature
(suite `mini`; models `glip-nano`, `dyhead-nano`, `gdino-nano`, `rtdetr-nano`).

Start here:

```
odinw-bench run --mode prompt --shots 5
odinw-bench advise my/coco/folder --budget 30m --models glip-t
odinw-bench predict photo.jpg \
    --prompt "stingray, which is flat and round. fish" --model glip-t
odinw-bench run --suite odinw13 --dataset aquarium --data-root DATA \
    --model glip-t --mode zero-shot,prompt --shots 5
```
""",
)
for _verb in (
    run,
    advise,
    watch,
    search,
    predict,
    demo,
    profile,
    models,
    data,
    show,
    score,
    report,
    compare,
    export,
    pretrain,
    protocol,
    doctor,
):
    app.add_typer(_verb.app)

_USER_ERRORS = (
    *(errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EBUSY),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP),
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"odinw-bench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _open_streams() -> None:
    """Standard output and error that can be written to, whatever a name holds and whoever closed them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  until the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nobody_reads() -> NoReturn:
    """End as programs do whose reader has gone, such as ``head``."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain at its end
    sys.exit(128 + signal.SIGPIPE)


def main() -> None:
    """Run the program; errors that the user can fix are one line and exit code 2."""
    from glip_core.memory import keep_freed_memory

    keep_freed_memory()
    # Threads that wait for each other by spinning are five times slower as soon as anything else needs a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _open_streams()
    shows_help = "--help" in sys.argv or len(sys.argv) == 1
    try:
        with contextlib.redirect_stdout(Unpadded(sys.stdout)) if shows_help else contextlib.nullcontext():
            app()
        sys.stdout.flush()  # here, where it can be said that nobody reads
    except BrokenPipeError:
        _nobody_reads()
    except SystemExit:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _nobody_reads()
        raise
    except MemoryError:
        if "--debug" in sys.argv:
            raise
        sys.exit(fail(InputError("the memory does not suffice; free some, or give smaller pictures or batches")))
    except (InputError, BusyError) as error:
        if "--debug" in sys.argv:
            raise
        sys.exit(fail(error))
    except OSError as error:
        if "--debug" in sys.argv or error.errno not in _USER_ERRORS:
            raise
        sys.exit(fail(InputError(f"cannot write '{error.filename or 'a file'}': {error.strerror}")))
