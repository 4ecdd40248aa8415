"""What all detectors of the transformers library share: files, loading, and their processor's preparation of images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from PIL import ImageOps
from PIL.Image import Image
from torch import Tensor

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.models.base import Model, ModelFacts
from odinw_bench.models.hub.checkpoints import CHECKPOINTS, FAMILIES, HUB_PREFIX, Checkpoint
from odinw_bench.models.hub.loading import (
    check_processor,
    checkpoint_of,
    identify_files,
    is_whole,
    model_type,
    no_advice_on_width,
    readable,
    weights_file,
)
from odinw_bench.utils.plugins import load_object


@dataclass(frozen=True)
class ProcessedImage:
    """An image as a checkpoint's own processor prepares it.

    Attributes:
        pixels: ``[1, 3, H, W]``, normalised, on the CPU.
        mask: bool ``[1, H, W]``, False where the processor padded.
        hw: (height, width) of the photo: targets and detections are in its pixels.
    """

    pixels: Tensor
    mask: Tensor
    hw: tuple[int, int]

    @property
    def batch_key(self) -> tuple[int, int]:
        """Images of one prepared size share a pass; none is padded for another's sake."""
        return self.pixels.shape[-2], self.pixels.shape[-1]


class HubModel(Model):
    """A detector of the transformers library: any checkpoint of its family, from the hub or a folder.

    To add a family: write a subclass that says how to detect (of
    :class:`odinw_bench.models.hub.tuned.TunableHubModel` where it can be tuned), list its ``model_type`` in
    :data:`~odinw_bench.models.hub.checkpoints.FAMILIES`, and checkpoints that deserve a name in
    :data:`~odinw_bench.models.hub.checkpoints.CHECKPOINTS`.

    Attributes:
        repository: on the hub, or a folder.
        model_type: a key of :data:`~odinw_bench.models.hub.checkpoints.FAMILIES`.
        licence: of the weights.
        listed: whether the checkpoint is one of :data:`~odinw_bench.models.hub.checkpoints.CHECKPOINTS`.
        nano: whether its weights are part of this package.
        network_class: name of its class in ``transformers``.
        network: that class's object.
        processor: the checkpoint's own.
        weights_sha256: what :meth:`identify` gives.

    Args:
        network: in evaluation mode, on its device.
        processor: see above.
        weights_sha256: see above; None: the weights are random.
    """

    batch_size: ClassVar[int] = 4
    repository: ClassVar[str]
    model_type: ClassVar[str]
    licence: ClassVar[str] = ""
    listed: ClassVar[bool] = True
    nano: ClassVar[bool] = False
    network_class: ClassVar[str]

    def __init__(self, network: Any, processor: Any, weights_sha256: str | None = None) -> None:
        self.network, self.processor, self.weights_sha256 = network, processor, weights_sha256
        self.device = next(network.parameters()).device

    @classmethod
    def facts(cls) -> ModelFacts:
        """See :class:`Model`."""
        return ModelFacts(cls.name, has_text=True, nano=cls.nano, modes=cls.modes)

    @classmethod
    def identify(cls, weights: str | None) -> str:
        """See :class:`Model`; ``weights`` is a folder, or a repository on the hub.

        Of a listed checkpoint's own weights it is the hash of their file alone, where they are one file: what lies
        beside it is known. Else it covers all files.
        """
        source = weights or cls.repository
        alone = cls._hash_alone(source) if weights is None else None
        return alone or identify_files(source)

    @classmethod
    def is_known_as(cls, weights: str | None, sha256: str) -> bool:
        """See :class:`Model`; a folder that holds a listed checkpoint's own weights is known as these, too."""
        return super().is_known_as(weights, sha256) or cls._hash_alone(weights or cls.repository) == sha256

    @classmethod
    def _hash_alone(cls, source: str) -> str | None:
        """The hash of a listed checkpoint's weights, if they are one file."""
        file = weights_file(source)
        return file_sha256(file) if cls.listed and is_whole(file) else None

    @classmethod
    def load(cls, weights: str | None, device: str, *, classes: int = 0, seed: int = 0) -> Self:
        """See :class:`Model`."""
        import transformers

        transformers.utils.logging.disable_progress_bar()
        folder = cls._folder(weights)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # layers for new classes start from random values, which are part of the run
            network = cls._network(_class_in(transformers, cls.network_class), folder, classes)
        with readable(folder):
            processor = cls._processor(folder)
        return cls(network.to(device).eval(), processor, cls.identify(weights))

    @classmethod
    def base_network(cls, weights: str | None) -> Any:
        """The network in transformers, on the CPU, as anyone else loads it.

        Args:
            weights: see :meth:`identify`.
        """
        import transformers

        return cls._network(_class_in(transformers, cls.network_class), cls._folder(weights), 0).eval()

    @classmethod
    def _folder(cls, weights: str | None) -> Path:
        """Where a checkpoint's files are.

        Raises:
            InputError: there are none, or they are another family's.
        """
        folder = weights_file(weights or cls.repository).parent
        kind = model_type(str(folder))
        if FAMILIES.get(kind) != FAMILIES[cls.model_type]:
            raise InputError(f"'{folder}' is a model of the type '{kind}', '{cls.name}' is one of '{cls.model_type}'")
        check_processor(folder, has_text=cls.facts().has_text)
        return folder

    @classmethod
    def _network(cls, network_class: Any, folder: Path, classes: int) -> Any:
        """The network with its weights; ``classes`` is for families whose class layer is recreated."""
        with no_advice_on_width(), readable(folder):
            network, info = network_class.from_pretrained(
                folder,
                config=cls._config(folder),
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are said below
            )
        mismatched = sorted(info["mismatched_keys"])
        if mismatched:
            name, found, wanted = mismatched[0]
            raise InputError(
                f"'{folder}': '{name}' has the shape {list(found)} in the weights, {list(wanted)} by the configuration"
            )
        missing = sorted(info["missing_keys"])
        if missing:
            raise InputError(f"'{folder}' lacks {len(missing)} of the weights of '{cls.name}': {missing[0]}")
        return network

    @classmethod
    def _config(cls, folder: Path) -> Any:
        """The network's configuration, where transformers is not to read it as it stands; else None."""
        return None

    @classmethod
    def _processor(cls, folder: Path) -> Any:
        from transformers import AutoProcessor

        return AutoProcessor.from_pretrained(folder)

    @property
    def parameters(self) -> int:
        """Number of its parameters."""
        return sum(p.numel() for p in self.network.parameters())

    def eval(self) -> None:
        """See :class:`Model`."""
        self.network.eval()

    def scaled_side(self, length: float) -> int:
        """The side of an image that is scaled to about this length, in pixels."""
        return max(1, round(length))

    def prepare(self, photo: Image, *, scale: float = 1.0, flip: bool = False) -> ProcessedImage:
        """See :class:`Model`; a limit of the longer side does not scale."""
        images = getattr(self.processor, "image_processor", self.processor)
        options: dict[str, Any] = {}
        if scale != 1:
            size = {key: value for key, value in dict(images.size).items() if value is not None}
            limits = ("longest_edge", "max_height", "max_width")
            options["size"] = {k: v if k in limits else self.scaled_side(v * scale) for k, v in size.items()}
        prepared = images(images=ImageOps.mirror(photo) if flip else photo, return_tensors="pt", **options)
        pixels = prepared["pixel_values"]
        mask = prepared["pixel_mask"] if "pixel_mask" in prepared else torch.ones(1, *pixels.shape[-2:])
        return ProcessedImage(pixels, mask.bool(), (photo.height, photo.width))


def _class_in(library: Any, name: str) -> Any:
    found = getattr(library, name, None)
    if found is None:
        raise InputError(f"transformers {library.__version__} has no {name}: pip install --upgrade transformers")
    return found


def hub_model(model: str) -> type[HubModel]:
    """The class of a listed checkpoint, of ``hf:OWNER/NAME`` or of ``hf:FOLDER``.

    Raises:
        InputError: there is no such checkpoint, or it is of a kind that is not supported.
    """
    listed = not model.startswith(HUB_PREFIX)
    return _class_of(CHECKPOINTS[model] if listed else checkpoint_of(model), listed)


@lru_cache(maxsize=64)
def _class_of(checkpoint: Checkpoint, listed: bool) -> type[HubModel]:
    family = load_object(FAMILIES[checkpoint.model_type], "detector", here=False)
    assert isinstance(family, type) and issubclass(family, HubModel), checkpoint
    facts: dict[str, Any] = {"name": checkpoint.name, "title": checkpoint.title, "repository": checkpoint.repository}
    facts |= {
        "model_type": checkpoint.model_type,
        "licence": checkpoint.licence,
        "listed": listed,
        "nano": checkpoint.nano,
    }
    facts["__module__"] = family.__module__
    return type(family.__name__, (family,), facts)
