"""The detector as a model of transformers; the network is :mod:`glip_core`'s own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from glip_core.builder import assemble
from glip_core.detector import GLIP, Detector
from glip_core.errors import InputError
from glip_core.hf.card import README, model_card
from glip_core.hf.config import GlipConfig
from glip_core.hf.image_processor import to_corners
from glip_core.hf.outputs import GlipObjectDetectionOutput, flatten
from glip_core.hf.peft_layers import merged_adapters
from glip_core.hf.tuned import load_tuned
from glip_core.modeling.swin import WindowAttention
from glip_core.modeling.swin_parts import relative_positions
from glip_core.prompt import Prompt
from glip_core.types import Targets, TextFeatures


class GlipForObjectDetection(PreTrainedModel):
    """GLIP with the interface of transformers' zero-shot detectors.

    Attributes:
        detector: the network.
    """

    config_class = GlipConfig
    base_model_prefix = "detector"
    main_input_name = "pixel_values"
    _supports_sdpa = True

    def __init__(self, config: GlipConfig) -> None:
        super().__init__(config)
        self.detector = _assemble(config)
        self._tuned_ids: list[int] | None = None
        self.post_init()

    def init_weights(self) -> None:
        """Nothing: glip_core has set the initial weights."""

    def _init_weights(self, module: nn.Module) -> None:
        """What no file holds; of weights none may be missing, see :meth:`from_pretrained`."""
        if isinstance(module, WindowAttention):  # it was made without memory, as transformers loads models
            index = module.relative_position_index  # (window * window, window * window)
            index.copy_(relative_positions(math.isqrt(len(index))))

    @classmethod
    def from_detector(cls, detector: Detector) -> GlipForObjectDetection:
        """A model with the weights of a detector, copied.

        Raises:
            InputError: it has a class layer in place of a prompt, tuned parts beside its weights, or a vocabulary of
                its own.
        """
        if not isinstance(detector, GLIP):
            raise InputError(
                f"'{detector.config.name}' has a class layer; transformers' zero-shot classes are for models with text"
            )
        _check_whole(detector)
        from dataclasses import asdict

        config = GlipConfig(asdict(detector.config), asdict(detector.postprocessing), detector.weights_sha256)
        model = cls(config)
        if _numbers(model.detector) != _numbers(detector):
            raise InputError(
                f"the detector reads the vocabulary '{detector.language.vocabulary}', which from_pretrained would not "
                f"know: it takes the one that belongs to '{detector.config.name}'"
            )
        model.detector.load_state_dict(detector.state_dict())
        config.fingerprint = fingerprint(model.state_dict())
        return model.eval()

    @classmethod
    def from_pretrained(cls, name: Any, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """See :meth:`transformers.PreTrainedModel.from_pretrained`.

        Raises:
            InputError: the file lacks weights, or holds others than the model has.
        """
        model, info = super().from_pretrained(name, *args, output_loading_info=True, **kwargs)
        for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            if info.get(problem):
                first = sorted(map(str, info[problem]))[0]
                raise InputError(
                    f"the weights in '{name}' do not fit its config.json: {len(info[problem])} "
                    f"{problem.replace('_', ' ')} ({first}, ...); make the folder again with odinw-bench models convert"
                )
        return (model, info) if output_loading_info else model

    def forward(
        self,
        pixel_values: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        pixel_mask: Tensor | None = None,
        class_tokens: Tensor | None = None,
        labels: Sequence[Mapping[str, Tensor]] | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> GlipObjectDetectionOutput | tuple[Any, ...]:
        """Run the network.

        Args:
            pixel_values: float ``[B, 3, H, W]``, padded to multiples of 32.
            input_ids: int64 ``[B, T]`` or, where all images share a prompt, ``[1, T]``.
            attention_mask: likewise, 0 at padding; None: there is none.
            pixel_mask: ``[B, H, W]``, 1 where there is an image; None: everywhere.
            class_tokens: ``[B, C, T]``, 1 where a token stands for a class; None: all tokens between the first and
                the last are one class, as the pipeline asks.
            labels: per image ``class_labels`` int64 ``[M]``, places in ``class_tokens``, and ``boxes`` ``[M, 4]``:
                centre x, centre y, width and height in shares of the image before padding.
            return_dict: False: a tuple.
            kwargs: ignored.

        Returns:
            the outputs of the heads, with a loss where there are labels.

        Raises:
            InputError: adapters of ``peft`` are being trained.
        """
        images = len(pixel_values)
        mask = (torch.ones_like(input_ids) if attention_mask is None else attention_mask).bool()
        same = images > 1 and len(input_ids) > 1 and (input_ids == input_ids[:1]).all() & (mask == mask[:1]).all()
        with merged_adapters(self):
            text = self._text(input_ids[:1], mask[:1]) if same else self._text(input_ids, mask)  # once for all
            raw = self.detector.run_heads(*self.detector.run_tower(self.detector.encode_image(pixel_values), text))
        tokens = _one_class(mask) if class_tokens is None else class_tokens
        sizes = _image_sizes(pixel_values, pixel_mask)
        made = flatten(raw, self.detector.anchors(raw), sizes, tokens.expand(images, -1, -1))
        losses = None
        if labels is not None:
            boxes = [to_corners(one["boxes"].float(), hw) for one, hw in zip(labels, sizes, strict=True)]
            targets = [Targets(box, one["class_labels"]) for box, one in zip(boxes, labels, strict=True)]
            columns = [row[one.labels].float() for row, one in zip(made["class_tokens"], targets, strict=True)]
            losses = self.detector.losses_from_columns(raw, targets, columns, mask=mask.expand(images, -1))
        total = None if losses is None else sum(losses.values(), made["logits"].new_zeros(()))
        outputs = GlipObjectDetectionOutput(loss=total, loss_dict=losses, **made)
        return outputs.to_tuple() if return_dict is False else outputs

    def _text(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """Token features; a tuned offset is added to the prompt that it was tuned for, and to no other."""
        text = self.detector.language.read(ids, mask)
        offset, tuned = self.detector.prompt_offset, self._tuned_ids
        if offset is None or tuned is None:
            return text
        own = torch.tensor(
            [row[real].tolist() == tuned for row, real in zip(ids, mask, strict=True)], device=ids.device
        )
        tokens = ids.shape[1]
        padded = F.pad(offset, (0, 0, 0, max(tokens - len(offset), 0)))[:tokens] * own[:, None, None]
        return TextFeatures(text.embedded + padded, text.hidden + padded, text.mask)

    def load_tuned(self, name: str | Path, **kwargs: Any) -> Prompt:
        """Add a tuned prompt or adapter that ``odinw-bench export hub`` wrote.

        Args:
            name: its folder, or its repository on the hub.
            kwargs: of the hub, such as ``revision`` and ``token``.

        Returns:
            the prompt that it was tuned for: give it to the processor as ``text``.

        Raises:
            InputError: there is no such, it is damaged, or it was tuned from other weights than these, also where these
                were trained further since they were loaded (which half precision hides). The model is as it was.
        """
        _check_whole(self.detector)
        base, known = self.config.weights_sha256, self.config.fingerprint
        if known is not None and self.dtype == torch.float32 and fingerprint(self.state_dict()) != known:
            base = None
        prompt = load_tuned(self.detector, base, name, **kwargs)
        self._tuned_ids = self.detector.language.tokenize(prompt).ids
        self.config.fingerprint = self.config.weights_sha256 = None  # weights may have changed in place
        self.eval()
        return prompt

    def save_pretrained(self, save_directory: Any, *args: Any, state_dict: Any = None, **kwargs: Any) -> None:
        """See :meth:`transformers.PreTrainedModel.save_pretrained`; a model card is written where there is none.

        Raises:
            InputError: the model holds a tuned prompt or adapter, which are files of their own.
        """
        _check_whole(self.detector)
        weights = self.state_dict() if state_dict is None else state_dict
        if self.config.fingerprint is not None and fingerprint(weights) != self.config.fingerprint:
            self.config.fingerprint = self.config.weights_sha256 = None  # trained further, or in another precision
        super().save_pretrained(save_directory, *args, state_dict=state_dict, **kwargs)
        card = Path(save_directory) / README
        if not card.exists():
            card.write_text(model_card(self.config), encoding="utf-8")

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> Any:
        """See :meth:`transformers.PreTrainedModel.push_to_hub`; a repository without a model card gets one."""
        from huggingface_hub import ModelCard, create_repo, file_exists

        token = kwargs.get("token")
        repo_id = create_repo(repo_id, private=kwargs.get("private"), token=token, exist_ok=True).repo_id
        if not kwargs.get("create_pr") and not file_exists(repo_id, README, token=token):
            ModelCard(model_card(self.config)).push_to_hub(repo_id, token=token)
        return super().push_to_hub(repo_id, **kwargs)


def _assemble(config: GlipConfig) -> GLIP:
    detector = assemble(config.detector_config)
    assert isinstance(detector, GLIP)  # a configuration has text
    detector.postprocessing = config.postprocess_config
    detector.weights_sha256 = config.weights_sha256
    return detector


def _numbers(detector: GLIP) -> dict[str, int]:
    """The tokens that a detector knows, and their numbers."""
    numbers: dict[str, int] = detector.language.tokens.tokenizer.get_vocab()
    return numbers


def _check_whole(detector: GLIP) -> None:
    """Raise :class:`InputError` where a tuned offset or adapter lies beside the weights."""
    if detector.prompt_offset is not None or any(".parametrizations." in name for name in detector.state_dict()):
        raise InputError(
            "this model holds a tuned prompt or adapter, which belongs into a folder of its own: "
            "odinw-bench export hub writes it; load the base model again for anything else"
        )


def _one_class(mask: Tensor) -> Tensor:
    """``[P, 1, T]``, 1 for the real tokens of each row but its first and last, which are [CLS] and [SEP]."""
    place = mask.long().cumsum(dim=1)
    return (mask & (place > 1) & (place < place[:, -1:]))[:, None].long()


def _image_sizes(pixels: Tensor, mask: Tensor | None) -> Tensor:
    """(height, width) of each image before padding, int64 ``[B, 2]``."""
    if mask is None:
        return torch.tensor(pixels.shape[-2:], device=pixels.device).expand(len(pixels), -1)
    return torch.stack([mask[:, :, 0].sum(dim=1), mask[:, 0].sum(dim=1)], dim=1).long()


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of weights: names, types and values."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
