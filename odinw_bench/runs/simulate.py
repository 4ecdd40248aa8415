"""How long a grid takes on many GPUs, by simulation: makespan, utilisation, and what preemptions cost."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One run, as the simulation sees it.

    Attributes:
        name: for people.
        seconds: it takes when left in peace.
        part: seconds after which its state is saved (an epoch); 0: never, so that it begins again from nothing.
    """

    name: str
    seconds: float
    part: float = 0.0


@dataclass(frozen=True)
class Interruptions:
    """Preemption of machines, at random.

    Attributes:
        per_hour: expected number in an hour of a machine's time.
        restart: seconds until a run that was interrupted goes on.
        seed: of the random moments.
    """

    per_hour: float = 0.0
    restart: float = 120.0
    seed: int = 3


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        makespan: seconds until the last run ended.
        busy: seconds of work and restarts, over all workers.
        workers: how many there were.
        interrupted: how many interruptions there were.
        last: the runs that ended last, by name, the last first; at most five.
        floor: seconds that no order can beat: all work shared evenly, or the longest run.
    """

    makespan: float
    busy: float
    workers: int
    interrupted: int
    last: tuple[str, ...]
    floor: float

    @property
    def utilisation(self) -> float:
        """The share of the workers' time that was work, 0 to 1."""
        return self.busy / (self.makespan * self.workers) if self.makespan else 1.0


def longest_first(seconds: Sequence[float]) -> list[int]:
    """Positions by falling length, equal ones in their order: the makespan is then within a third of the best."""
    return sorted(range(len(seconds)), key=lambda i: -seconds[i])


def simulate(
    jobs: Sequence[Job],
    workers: int,
    *,
    longest: bool = True,
    interruptions: Interruptions | None = None,
) -> Outcome:
    """Let workers do jobs: whoever is free takes the next.

    Args:
        jobs: all of them, in the order of the grid.
        workers: number of GPUs, each with one run at a time.
        longest: begin with the longest, as the engines that work side by side do; else in the order of the grid.
        interruptions: None: nothing is preempted.

    Raises:
        ValueError: there is no worker.
    """
    if workers < 1:
        raise ValueError(f"there must be a worker, not {workers}")
    cut = interruptions or Interruptions()
    random_moments = random.Random(cut.seed)
    order = longest_first([job.seconds for job in jobs]) if longest else list(range(len(jobs)))
    free = [0.0] * workers  # when each worker is free again
    ended: list[tuple[float, str]] = []
    busy, interrupted = 0.0, 0
    for index in order:
        begin = heapq.heappop(free)
        spent, times = _spend(jobs[index], cut, random_moments)
        heapq.heappush(free, begin + spent)
        ended.append((begin + spent, jobs[index].name))
        busy += spent
        interrupted += times
    ended.sort(reverse=True)
    return Outcome(
        makespan=ended[0][0] if ended else 0.0,
        busy=busy,
        workers=workers,
        interrupted=interrupted,
        last=tuple(name for _, name in ended[:5]),
        floor=max([sum(job.seconds for job in jobs) / workers, *(job.seconds for job in jobs)], default=0.0),
    )


def _spend(job: Job, cut: Interruptions, random_moments: random.Random) -> tuple[float, int]:
    """Seconds until a job is done on one worker, interruptions included, and how many these were."""
    if not cut.per_hour:
        return job.seconds, 0
    left, spent, times = job.seconds, 0.0, 0
    while True:
        until = random_moments.expovariate(cut.per_hour / 3600)
        if until >= left:
            return spent + left, times
        saved = until - until % job.part if job.part else 0.0
        left -= saved
        spent += until + cut.restart
        times += 1
