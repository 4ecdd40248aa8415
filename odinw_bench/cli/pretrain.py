"""``odinw-bench pretrain``: the embedded models, from nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from odinw_bench.cli._console import write_line
from odinw_bench.cli._options import Debug

_EVERY = 20
app = typer.Typer()


@app.command()
def pretrain(
    model: Annotated[
        str,
        typer.Option(
            "--model", help="dyhead-nano, glip-nano-a, glip-nano-b, glip-nano-c, glip-nano, gdino-nano or rtdetr-nano."
        ),
    ] = "glip-nano",
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Stop after so many steps. Default: the whole recipe.")
    ] = None,
    schedule: Annotated[
        int | None,
        typer.Option("--schedule", min=1, help="Steps until the rate is 0. Default: the recipe's."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of weights and data. Default: the recipe's.")] = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", help="Model (or file) whose backbones to begin with. Default: the recipe's."),
    ] = None,
    whole: Annotated[
        str | None, typer.Option("--whole", help="Model (or file) all of whose weights to begin with.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="Finds the boxes of captions: a model or its file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of checkpoint and learning curve. Default: pretraining/MODEL.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that draw scenes.")] = 1,
    debug: Debug = False,
) -> None:
    r"""Train an embedded model again, from nothing. The same command resumes a stopped training.

    The whole ladder, in the order in which each needs the one before:

    ```
    odinw-bench pretrain --model dyhead-nano
    odinw-bench pretrain --model glip-nano-c \
        --backbone pretraining/dyhead-nano/dyhead-nano.safetensors
    odinw-bench pretrain --model glip-nano \
        --whole pretraining/glip-nano-c/glip-nano-c.safetensors --teacher ...
    odinw-bench pretrain --model gdino-nano \
        --backbone pretraining/glip-nano/glip-nano.safetensors
    ```

    Without --backbone, --whole and --teacher the package's own weights of these models are taken.
    """
    from odinw_bench import pretraining

    changes = {"steps": schedule, "seed": seed, "backbone": backbone, "whole": whole, "teacher": teacher}
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    if (backbone is None) != (whole is None):  # one takes the place of what the recipe begins with
        given["backbone"], given["whole"] = backbone, whole
    recipe = replace(pretraining.get_recipe(model), **given)
    out = out or Path("pretraining") / model
    last = min(steps or recipe.steps, recipe.steps)

    def say(state: dict[str, float]) -> None:
        step = int(state["step"])
        if step % _EVERY == 0 or step == last:
            left = state["seconds"] / max(state["steps_done"], 1) * (last - step)
            write_line(
                f"step {step}/{last}: loss {state['loss']:.3f}, {left / 60:.0f} minutes left",
                file=sys.stderr,
                flush=True,
            )

    learner = pretraining.pretrain(recipe, out, workers=workers, on_step=say, until=steps)
    path = learner.save(out, model, pretraining.card(recipe, out))
    write_line(f"{path} (learning curve: {out / pretraining.CURVE}); use it with --model {model} --weights {path}")
