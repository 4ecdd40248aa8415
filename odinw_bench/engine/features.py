"""Frozen features, computed once: what is not trained need not be computed in every epoch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import torch

from glip_core.modes import TuningMode
from odinw_bench import __version__
from odinw_bench.models import AnyPrompt, Features, ModelInput, Packed, TunableModel
from odinw_bench.utils.io import canonical_json, sha256_bytes

DEFAULT_BUDGET = 2 << 30


class Store(Protocol):
    """Where features are kept beyond memory, by a digest of all that they were computed from."""

    def get(self, digest: str, unpack: Callable[[Packed], Features]) -> Features | None:
        """The features, or None; ``unpack`` is the model's."""
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
    """What a mode never changes of a model, image by image.

    One image at a time, whether features are cached or not: so a run with a cache computes the very same numbers as
    one without.

    Args:
        model: prepared for the mode.
        mode: one whose features :meth:`~odinw_bench.models.TunableModel.can_cache`.
        prompt: of the task; encoded already where its encoding is frozen, so that it is computed once.
        cache: where results are kept.
        precision: that the caller computes in; features of different ones are kept apart.
    """

    def __init__(
        self, model: TunableModel, mode: TuningMode, prompt: AnyPrompt, cache: FeatureCache, precision: str = "fp32"
    ) -> None:
        assert model.can_cache(mode), mode.name
        self.model, self.mode, self.prompt, self.cache = model, mode, prompt, cache
        self.precision = precision

    def holds(self, key: Hashable) -> bool:
        """Whether the features of an image are in memory."""
        return (self.precision, key) in self.cache

    def of(self, key: Hashable, load: Callable[[], ModelInput]) -> Features:
        """The features of an image, which is loaded only when they are not cached."""
        return self.cache.get((self.precision, key), lambda: self._stored(load()))

    def _stored(self, image: ModelInput) -> Features:
        """From the store where there is one; features without an identity are not kept."""
        store = self.cache.store
        identity = None if store is None else self.model.features_identity(self.mode, image, self.prompt)
        if store is None or identity is None:
            return self.model.features(self.mode, image, self.prompt)
        digest = sha256_bytes(canonical_json(identity | self._circumstances()))
        found = store.get(digest, self.model.unpack)
        if found is None:
            found = self.model.features(self.mode, image, self.prompt)
            store.put(digest, found)
        return found.to(torch.device(self.model.device))

    def _circumstances(self) -> dict[str, Any]:
        """What else the values depend on: versions and arithmetic."""
        device = torch.device(self.model.device).type
        arithmetic = [device, str(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else ""]
        if device == "cuda" and torch.backends.cudnn.allow_tf32:
            arithmetic.append("tf32")
        return {"program": [__version__, torch.__version__], "arithmetic": arithmetic}
