"""Frozen features, computed once: what does not move while tuning need not be computed in every epoch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from glip_core import Detector, EncodedPrompt, Prompt, RawOutputs, TextFeatures
from glip_core.tuning import TuningMode
from odinw_bench import __version__
from odinw_bench.engine.data import PreparedImage
from odinw_bench.utils.io import canonical_json, sha256_bytes

DEFAULT_BUDGET = 2 << 30


@dataclass(frozen=True)
class Features:
    """What is known of one image before the part that moves.

    Attributes:
        levels: the pyramid's maps ``[1, C, H, W]``, or those of the tower.
        text: the fused text, where the tower is done; else None.
        hw: the image's (height, width) before padding.
        padded_hw: and after.
    """

    levels: tuple[Tensor, ...]
    text: TextFeatures | None
    hw: tuple[int, int]
    padded_hw: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        total = sum(x.nbytes for x in self.levels)
        return total + (self.text.hidden.nbytes + self.text.embedded.nbytes if self.text is not None else 0)

    def to(self, device: torch.device) -> Features:
        """The same features on another device."""
        text = None if self.text is None else self.text.to(device)
        return Features(tuple(level.to(device) for level in self.levels), text, self.hw, self.padded_hw)


class Store(Protocol):
    """Where features are kept beyond memory, by a digest of all that they were computed from."""

    def get(self, digest: str) -> Features | None:
        """The features, or None."""
        ...

    def put(self, digest: str, features: Features) -> None:
        """Keep features."""
        ...


class FeatureCache:
    """Features by key, the least recently used dropped when the budget is full.

    Args:
        budget: bytes held at most; 0 keeps nothing.
        store: where to look, and what to fill, beyond that.
    """

    def __init__(self, budget: int = DEFAULT_BUDGET, store: Store | None = None) -> None:
        self.budget = budget
        self.store = store
        self.held = 0
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[Hashable, Features] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        """Whether the features of a key are held in memory."""
        return key in self._kept

    def get(self, key: Hashable, make: Callable[[], Features]) -> Features:
        """The features of a key, made when they are not there."""
        if key in self._kept:
            self._kept.move_to_end(key)
            self.hits += 1
            return self._kept[key]
        self.misses += 1
        made = make()
        if made.nbytes <= self.budget:
            self._kept[key] = made
            self.held += made.nbytes
            while self.held > self.budget:
                _, dropped = self._kept.popitem(last=False)
                self.held -= dropped.nbytes
        return made


class FrozenPart:
    """What a mode never changes of a detector, image by image, and how to go on from there.

    One image at a time, whether features are cached or not: so a run with a cache computes the very same numbers as
    one without.

    Args:
        detector: prepared for the mode.
        mode: with at least a frozen vision side.
        prompt: of the task; encoded already where the language backbone is frozen, so that it runs once.
        cache: where results are kept.
    """

    def __init__(
        self, detector: Detector, mode: TuningMode, prompt: Prompt | EncodedPrompt, cache: FeatureCache
    ) -> None:
        assert mode.frozen_vision, mode.name
        self.detector, self.prompt, self.cache = detector, prompt, cache
        self.tower_done = mode.frozen_tower
        self._caption = (prompt.prompt if isinstance(prompt, EncodedPrompt) else prompt).caption

    def of(self, key: Hashable, load: Callable[[], PreparedImage]) -> Features:
        """The features of an image, which is loaded only when they are not cached."""
        return self.cache.get(key, lambda: self._stored(load()))

    def _stored(self, image: PreparedImage) -> Features:
        """From the store where there is one; random weights have no identity and are not kept."""
        store = self.cache.store
        if store is None or self.detector.weights_sha256 is None:
            return self._compute(image)
        digest = self._digest(image)
        found = store.get(digest)
        if found is None:
            found = self._compute(image)
            store.put(digest, found)
        return found.to(self.detector.device)

    def _digest(self, image: PreparedImage) -> str:
        """Of the network's very input (so of image, preprocessing and augmentation alike), weights and arithmetic."""
        device = self.detector.device.type
        facts = {
            "program": [__version__, torch.__version__],
            "model": self.detector.config.name,
            "weights": self.detector.weights_sha256,
            "arithmetic": [device, str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else ""],
            "prompt": self._caption if self.tower_done and self.detector.config.has_text else None,
            "tower": self.tower_done,
            "hw": [*image.hw, *image.padded_hw],
            "pixels": sha256_bytes(image.pixels.numpy().tobytes()),
        }
        return sha256_bytes(canonical_json(facts))

    @torch.no_grad()
    def _compute(self, image: PreparedImage) -> Features:
        levels = self.detector.encode_image(image.on(self.detector.device))
        text = None
        if self.tower_done:
            levels, text = self.detector.run_tower(levels, self.detector.encode_text(self.prompt))
        return Features(tuple(levels), text, image.hw, image.padded_hw)

    def outputs(self, features: Sequence[Features], prompt: EncodedPrompt | None = None) -> RawOutputs:
        """The network's outputs for images of one padded size; ``prompt`` is the same prompt, if encoded meanwhile."""
        levels = [torch.cat(level) for level in zip(*(f.levels for f in features), strict=True)]
        if not self.tower_done:
            text = self.detector.encode_text(self.prompt if prompt is None else prompt)
            return self.detector.run_heads(*self.detector.run_tower(levels, text))
        texts = [f.text for f in features if f.text is not None]
        if not texts:
            return self.detector.run_heads(levels, None)
        text = TextFeatures(
            embedded=_join([t.embedded for t in texts]),
            hidden=_join([t.hidden for t in texts]),
            mask=texts[0].mask,
        )
        return self.detector.run_heads(levels, text)


def _join(parts: Sequence[Tensor]) -> Tensor:
    """One row per image, or the one row that all share."""
    return parts[0] if all(part is parts[0] for part in parts) else torch.cat(list(parts))
