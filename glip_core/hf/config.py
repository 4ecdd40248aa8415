"""A detector's sizes as a configuration of transformers."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, ClassVar

from transformers import PretrainedConfig

from glip_core.config import DetectorConfig, FusionConfig, SwinConfig, TextConfig, get_config
from glip_core.errors import InputError
from glip_core.postprocess import PostprocessConfig

_NESTED = {"swin": SwinConfig, "text": TextConfig, "fusion": FusionConfig}


class GlipConfig(PretrainedConfig):
    """The configuration of a GLIP.

    Attributes:
        detector: the fields of :class:`glip_core.DetectorConfig`, nested ones as mappings.
        postprocessing: the fields of :class:`glip_core.postprocess.PostprocessConfig`.
        weights_sha256: of the checkpoint that the weights were converted from, by which tuned parts know their base;
            None where they were trained further.
        fingerprint: of the weights themselves, by which it is noticed that they were trained further.
    """

    model_type = "glip"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["loss_dict", "anchors", "level_sizes", "image_sizes"]

    def __init__(
        self,
        detector: dict[str, Any] | str = "glip-t",
        postprocessing: dict[str, Any] | None = None,
        weights_sha256: str | None = None,
        fingerprint: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.detector = asdict(get_config(detector)) if isinstance(detector, str) else detector
        self.postprocessing = asdict(PostprocessConfig()) if postprocessing is None else postprocessing
        self.weights_sha256 = weights_sha256
        self.fingerprint = fingerprint
        super().__init__(**kwargs)

    @property
    def detector_config(self) -> DetectorConfig:
        """The sizes as :mod:`glip_core` has them.

        Raises:
            InputError: fields are missing, unknown or of another kind, or it is a detector without text.
        """
        return to_detector_config(self.detector)

    @property
    def postprocess_config(self) -> PostprocessConfig:
        """The thresholds as :mod:`glip_core` has them.

        Raises:
            InputError: fields are unknown.
        """
        try:
            return PostprocessConfig(**self.postprocessing)
        except TypeError as error:
            raise InputError(f"config.json: postprocessing: {error}") from None


def to_detector_config(values: dict[str, Any]) -> DetectorConfig:
    """The configuration whose fields were written as JSON.

    Raises:
        InputError: see :attr:`GlipConfig.detector_config`.
    """
    try:
        held = {name: _of(kind, values[name]) for name, kind in _NESTED.items()}
        config: DetectorConfig = _of(DetectorConfig, {**values, **held})
    except (KeyError, TypeError, AttributeError) as error:
        known = ", ".join(field.name for field in fields(DetectorConfig))
        raise InputError(f"config.json: detector is not complete ({error}); its fields are {known}") from None
    if config.text is None:
        raise InputError(f"'{config.name}' has a class layer; transformers' zero-shot classes are for models with text")
    return config


def _of(kind: type, values: dict[str, Any] | None) -> Any:
    """A dataclass from JSON, which knows lists alone."""
    if values is None:
        return None
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
