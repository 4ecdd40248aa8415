"""Random kills of small runs: after each the same command goes on, and ends with the numbers of one left in peace.

``python -m tests.faults.kills --kills 1000 --seed 3`` draws for each kill the command, the signal (KILL, TERM, INT,
HUP), whom it is sent to (the first process alone, or all) and the moment: a random time, or before a random change of
a file. One in three of those that go on is killed once more. After each kill nothing half done may pass for
whole; in the end nothing that was finished may have been lost or done again, and all results must be those of the
same command left in peace. It prints a table by command and signal; the exit code is 1 if anything was found. Sent a
SIGTERM or Ctrl-C itself, it finishes the command it is at and prints the table of the kills so far.

Commands run in forks of a process that has imported the program and done nothing else; those that start processes of
their own (``--workers 2``, Ray), and one other in a hundred, run as programs of their own.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .kill_commands import Command, after_run, all_commands, fixed_environment, make_workshop
from .kill_process import OUTPUT, Ending, Shot, call, load_program

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AGAIN, OWN = 1 / 3, 1 / 100


@dataclass
class Tally:
    """What came of it.

    Attributes:
        kills: by command and signal.
        ended: commands that went on to their end after one or more kills.
        late: signals that were drawn for after the end; no kills.
        found: what went wrong.
    """

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: int = 0
    late: int = 0
    found: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Kills in all."""
        return sum(self.kills.values())

    def table(self) -> str:
        """By command and signal, in Markdown."""
        names = [one.name[3:] for one in SIGNALS]
        lines = [f"| command | {' | '.join(names)} | all |", f"|---|{'---:|' * (len(names) + 1)}"]
        for command in dict.fromkeys(command for command, _ in sorted(self.kills)):
            row = [self.kills[command, name] for name in names]
            lines.append(f"| `{command}` | {' | '.join(map(str, row))} | {sum(row)} |")
        sums = [sum(n for (_, name), n in self.kills.items() if name == one) for one in names]
        return "\n".join([*lines, f"| all | {' | '.join(map(str, sums))} | {self.total} |"])


class Kills:
    """The commands, each with what it ends with when left in peace.

    Args:
        folder: to work in.
        names: of the commands to be killed; empty: all.
    """

    def __init__(self, folder: Path, names: tuple[str, ...] = ()) -> None:
        self.folder, self.workshop = folder, folder / "workshop"
        make_workshop(self.workshop)
        commands = all_commands()
        self.commands = [command for command in commands if not names or command.name in names]
        self.peace: dict[str, tuple[dict, Ending]] = {}
        for command in commands:
            needed = command in self.commands or command is commands[0]  # others use the records of the first
            if needed:
                self.peace[command.name] = self._undisturbed(command)
            if command is commands[0]:
                after_run(self.workshop, self.folder / "peace" / command.name)

    def _undisturbed(self, command: Command) -> tuple[dict, Ending]:
        place = self.folder / "peace" / command.name
        command.begin(self.workshop, place)
        ending = call(place, command.arguments, None, warm=command.warm)
        assert ending.code == 0, (place / OUTPUT).read_text()[-3000:]
        command.finished(place)
        print(f"{command.name}: {ending.seconds:.1f} s, {ending.changes} changes of files", file=sys.stderr, flush=True)
        return dict(command.result(place)), ending

    def kill(self, draw: random.Random, tally: Tally, most: int) -> None:
        """One command from its beginning to its end, with a kill or more on the way.

        Raises:
            AssertionError: something finished was lost, or the command ended otherwise than in peace.
        """
        command = draw.choices(self.commands, [one.share for one in self.commands])[0]
        warm = None if draw.random() < OWN and command.name != "pretrain" else command.warm
        place = self.folder / "war"
        shutil.rmtree(place, ignore_errors=True)
        command.begin(self.workshop, place)
        expected, calm = self.peace[command.name]
        finished: dict = {}
        kills = 0
        shots = []
        try:
            while kills == 0 or (kills < most and draw.random() < AGAIN):
                shot = self._aim(draw, calm, own=warm is None and command.warm is not None, warm=warm is not None)
                shots.append(shot)
                ending = call(place, command.arguments, shot, warm=warm)
                if not ending.signalled or ending.code == 0:
                    tally.late += 1
                    if ending.code == 0:
                        break
                    raise AssertionError(f"it ended with code {ending.code}")
                kills += 1
                tally.kills[command.name, shot.signal.name[3:]] += 1
                now = dict(command.finished(place))
                _kept(finished, now, "after a kill")
                finished |= now
            ending = call(place, command.arguments, None, warm=warm)
            assert ending.code == 0, f"it went on and ended with code {ending.code}"
            said = (place / OUTPUT).read_text()
            assert "Traceback" not in said
            _kept(finished, dict(command.finished(place)), "at the end")
            got = dict(command.result(place))
            assert got == expected, f"not the same: {_difference(expected, got)}"
            tally.ended += kills > 0
        except Exception as error:
            said = (place / OUTPUT).read_text()[-1500:] if (place / OUTPUT).exists() else ""
            raise AssertionError(f"{command.name}: {shots}: {type(error).__name__}: {error}\n{said}") from error

    def _aim(self, draw: random.Random, calm: Ending, *, own: bool, warm: bool) -> Shot:
        which, group = draw.choice(SIGNALS), draw.random() < 0.5
        if warm and calm.changes and draw.random() < 0.5:
            return Shot(which, change=draw.randint(1, calm.changes), group=group)
        return Shot(which, after=draw.uniform(0, calm.seconds + 4.0 * own), group=group)  # 4: a program's imports


def _kept(before: dict, now: dict, when: str) -> None:
    lost = [name for name, value in before.items() if now.get(name) != value]
    assert not lost, f"finished before, and lost or done again {when}: {lost[:3]}"


def _difference(expected: dict, got: dict) -> str:
    names = [name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name)]
    name = min(names)
    return f"{name}: {json.dumps(expected.get(name))[:600]} became {json.dumps(got.get(name))[:600]}"


def many(kills: int, seed: int, folder: Path, names: tuple[str, ...] = (), seconds: float = float("inf")) -> Tally:
    """So many kills, or as many as fit into so many seconds; what is wrong is printed as it is found."""
    fixed_environment()
    load_program()
    work, tally, ends = Kills(folder, names), Tally(), time.monotonic() + seconds
    number, signals = 0, _signals()
    while tally.total < kills and time.monotonic() < ends and not signals:
        draw = random.Random(f"{seed}/{number}")
        try:
            work.kill(draw, tally, kills - tally.total)
        except AssertionError as error:
            tally.found.append(f"{number}: {error}")
            print(f"FOUND {number}: {error}", file=sys.stderr, flush=True)
            shutil.copytree(folder / "war", folder / f"found-{number}", symlinks=True, dirs_exist_ok=True)
        number += 1
        if number % 25 == 0:
            print(f"{tally.total} kills, {len(tally.found)} found", file=sys.stderr, flush=True)
        if number % 100 == 0:
            print(tally.table(), file=sys.stderr, flush=True)
    return tally


def _signals() -> list[int]:
    """A list that is empty until this process is sent SIGTERM or SIGINT; forks have the usual signals again."""
    received: list[int] = []
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda number, _frame: received.append(number))
    return received


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--command", action="append", default=[], help="only these commands of the table")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--folder", type=Path, help="to work in, new; default: a temporary one")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    tally = many(given.kills, given.seed, folder, tuple(given.command), given.seconds)
    print(tally.table())
    print(f"{tally.total} kills, seed {given.seed}: {tally.ended} commands ended as if left in peace, ", end="")
    print(f"{len(tally.found)} did not; {tally.late} signals came after the end")
    if not tally.found and given.folder is None:
        shutil.rmtree(folder)
    return int(bool(tally.found))


if __name__ == "__main__":
    sys.exit(main())
