"""Which layers of a network a mode means: what it calls heads, language or fusion, in the names of a family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from glip_core.errors import InputError
from glip_core.modeling import low_rank
from glip_core.modes import TuningMode
from glip_core.modes.adapters import LoRA


@dataclass(frozen=True)
class Parts:
    """The parts of a family's network, by how the names of their modules or parameters begin.

    Attributes:
        roles: beginning of a name -> beginning of the name by which GLIP's checkpoints call what has that role, such
            as ``language_backbone.`` or ``rpn.head.bbox_pred.``: modes choose parameters by these. The first that
            fits counts; a name that none fits stays as it is.
        adapted: part of ``adapter_where`` -> beginnings of the names of its modules.
        unreached: beginnings of names that the family's loss has no gradient for: nothing trains them.
    """

    roles: Mapping[str, str]
    adapted: Mapping[str, Sequence[str]]
    unreached: tuple[str, ...] = ()

    def role_name(self, name: str, module: nn.Module) -> str:
        """What a mode is asked about: a parameter's name as GLIP's checkpoints would have it.

        Args:
            name: of the parameter.
            module: that holds it; a normalisation layer that is not called so gets a name that says it.
        """
        for beginning, role in self.roles.items():
            if name.startswith(beginning):
                name = role + name.removeprefix(beginning)
                break
        holder, _, last = name.rpartition(".")
        if (
            isinstance(module, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d)
            and "norm" not in holder.rpartition(".")[2].lower()
        ):
            return f"{holder}.norm.{last}"
        return name

    def named(self, network: nn.Module) -> Iterator[tuple[str, str, nn.Parameter]]:
        """Every parameter that a loss reaches, once: its name, the name of its role, and itself."""
        modules = dict(network.named_modules())
        for name, parameter in network.named_parameters():
            if not name.startswith(self.unreached):
                yield name, self.role_name(name, modules[name.rpartition(".")[0]]), parameter

    def adapt(self, network: nn.Module, mode: LoRA, model: str) -> dict[str, nn.Parameter]:
        """Give the layers of a mode's parts low-rank updates, and return these by name.

        Raises:
            InputError: the network has none of the parts.
        """
        beginnings = tuple(start for part in mode.where for start in self.adapted.get(part, ()))
        layers = {
            name: layer
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Linear | nn.Conv2d)
            and name.startswith(beginnings)
            and not f"{name}.".startswith(self.unreached)
        }
        if not beginnings or not layers:
            raise InputError(f"'{model}' has none of the parts {'+'.join(mode.where)} to adapt")
        low_rank.adapt(layers.values(), rank=mode.rank, alpha=mode.alpha, decomposed=mode.decomposed)
        return {
            f"{name}.{ending}": parameter
            for name, layer in layers.items()
            for ending, parameter in low_rank.update_of(layer).named_parameters()
        }


def choose(network: nn.Module, mode: TuningMode, parts: Parts) -> dict[str, tuple[str, nn.Parameter]]:
    """Freeze what a mode does not train; what it trains by name, each with the name of its role."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    chosen = {name: (role, parameter) for name, role, parameter in parts.named(network) if mode.is_trainable(role)}
    for _, parameter in chosen.values():
        parameter.requires_grad_(True)
    return chosen


def share_tied(network: nn.Module) -> None:
    """Make modules with the very same parameters one module.

    Checkpoints tie the heads of decoder layers by sharing their parameters only. An adapted weight belongs to a
    module: without this the twins of an adapted head would go on with the old weight.
    """
    first: dict[tuple[object, ...], nn.Module] = {}
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            held = [(key, id(parameter)) for key, parameter in child.named_parameters()]
            if held and not list(child.buffers()):
                twin = first.setdefault((type(child), *held), child)
                if twin is not child:
                    setattr(module, name, twin)
