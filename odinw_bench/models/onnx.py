"""An exported detector as a model of the benchmark: ``--model onnx:FILE``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch

from glip_core.errors import InputError
from glip_core.exporting.program import text_file
from glip_core.files import file_sha256
from glip_core.preprocess import pad_batch, resized_hw, to_tensor
from odinw_bench.exporting import open_onnx, read_facts
from odinw_bench.models import limits
from odinw_bench.models.base import AnyPrompt, Model, ModelFacts, ModelInput
from odinw_bench.models.inputs import PreparedImage
from odinw_bench.utils.io import sha256_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

    from glip_core import Detections, EncodedPrompt, Prompt
    from glip_core.exporting import ExportedDetector, ExportFacts


class OnnxModel(Model):
    """The graph of an ONNX file, run by ONNX Runtime, with the rules of the detector it was made of around it.

    Attributes:
        file: that was exported.
        exported: what is known of it.
        detector: that runs it.

    Args:
        detector: see above.
        device: where it runs.
    """

    modes: ClassVar[Sequence[str]] = ("zero-shot", "manual")
    in_torch: ClassVar[bool] = False
    file: ClassVar[Path]
    exported: ClassVar[ExportFacts]

    def __init__(self, detector: ExportedDetector, device: str) -> None:
        self.detector, self.device = detector, device

    @classmethod
    def facts(cls) -> ModelFacts:
        """See :class:`Model`."""
        nano = cls.exported.config.family == "nano"
        return ModelFacts(cls.name, has_text=True, nano=nano, modes=cls.modes)

    @classmethod
    def identify(cls, weights: str | None) -> str:
        """The hash of the file, and of the text's graph where there is one."""
        _no_weights(weights)
        own = file_sha256(cls.file)
        return sha256_bytes((own + file_sha256(text_file(cls.file))).encode()) if cls.exported.vocabulary else own

    @classmethod
    def load(cls, weights: str | None, device: str, *, classes: int = 0, seed: int = 0) -> OnnxModel:
        """See :class:`Model`."""
        _no_weights(weights)
        return cls(open_onnx(cls.file, device), device)

    @property
    def parameters(self) -> int:
        """Number of parameters of the detector it was made of."""
        return self.exported.parameters

    def prepare(self, photo: Image, *, scale: float = 1.0, flip: bool = False) -> PreparedImage:
        """See :class:`Model`."""
        config = self.detector.config
        hw = resized_hw(photo.size, round(config.image_short * scale), config.image_long)
        return PreparedImage(pad_batch([to_tensor(photo, hw, flip=flip)])[0], hw)

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """See :class:`Model`.

        Raises:
            InputError: the file was exported for another prompt.
        """
        try:
            return self.detector.encode(prompt)
        except InputError as error:
            raise InputError(f"'{self.file}': {error}") from None

    @contextmanager
    def keeping(self, detections: int) -> Iterator[None]:
        """See :class:`Model`; of each pass, ties with the last one are kept too."""
        with limits.keeping(self.detector, detections):
            yield

    @torch.no_grad()
    def detect_batch(self, inputs: Sequence[ModelInput], prompt: AnyPrompt) -> list[Detections]:
        """See :class:`Model`.

        Raises:
            InputError: another precision was asked for than the file's.
        """
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            raise InputError(f"'{self.file}' computes in {self.exported.precision}: leave --precision out")
        found = []
        for one in inputs:
            assert isinstance(one, PreparedImage)
            found += self.detector.detect(one.pixels, [one.hw], prompt)
        return found


def find_onnx(path: str) -> type[OnnxModel]:
    """The class of an ONNX file.

    Raises:
        InputError: there is no such file, or it was not exported by this program.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"'{path}' not found: make it with odinw-bench export model --format onnx")
    facts = file.stat()
    return _find(path, (facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=16)
def _find(path: str, _version: tuple[int, int]) -> type[OnnxModel]:
    exported = read_facts(Path(path))
    known = {
        "name": f"{exported.preset}-onnx-{exported.precision}",
        "title": f"{exported.preset} as ONNX, {exported.precision}",
        "file": Path(path),
        "exported": exported,
    }
    return type(f"OnnxModel[{path}]", (OnnxModel,), {**known, "__module__": __name__})


def _no_weights(weights: str | None) -> None:
    if weights is not None:
        raise InputError("an exported detector brings its weights: leave --weights out")
