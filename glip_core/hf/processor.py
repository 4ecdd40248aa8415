"""Images and class names -> the model's input: the processor of transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerFast, ProcessorMixin

from glip_core.detector import GLIP
from glip_core.errors import InputError
from glip_core.hf.image_processor import GlipImageProcessor
from glip_core.modeling.bert import load_tokenizer
from glip_core.prompt import Prompt

Text = Prompt | str | Sequence[str] | Sequence[Prompt] | Sequence[Sequence[str]]
"""The classes to look for: the same for all images, or a prompt or list of names per image."""


class GlipProcessor(ProcessorMixin):
    """Image processor and tokenizer in one; it writes all classes into one caption, as GLIP reads them.

    Args:
        image_processor: a :class:`GlipImageProcessor`.
        tokenizer: of :func:`make_tokenizer`.
    """

    def __init__(self, image_processor: Any, tokenizer: Any, **kwargs: Any) -> None:
        super().__init__(image_processor, tokenizer, **kwargs)

    @classmethod
    def from_detector(cls, detector: GLIP) -> GlipProcessor:
        """The one that prepares what a detector of :mod:`glip_core` prepares itself."""
        images = GlipImageProcessor.from_config(detector.config, detector.postprocessing)
        return cls(images, make_tokenizer(detector.language.vocabulary, detector.config.max_tokens))

    def __call__(
        self, images: Any = None, text: Any = None, annotations: Any = None, return_tensors: str = "pt", **kwargs: Any
    ) -> BatchFeature:
        """The input of the model for images, classes, or both.

        Args:
            images: one of what :func:`glip_core.images.load_image` takes, or a list of them.
            text: the classes to look for. For all images: a :class:`glip_core.Prompt`, a line such as ``"stingray,
                which is flat and round. fish"``, or a list of class names. For each image its own: a list of prompts
                or of lists of names. They are put into one caption.
            annotations: see :meth:`GlipImageProcessor.preprocess`.
            return_tensors: torch's alone, ``"pt"``.
            kwargs: nothing else is known.

        Returns:
            ``pixel_values`` and ``pixel_mask`` (and ``labels``) of the images; ``input_ids`` and ``attention_mask``
            int64 ``[B, T]`` of the captions; ``class_tokens`` int64 ``[B, C, T]``, 1 where a token stands for a class.

        Raises:
            InputError: neither images nor text, another number of prompts than images, a caption that is longer than
                the model reads, or what the image processor does not take.
        """
        if images is None and text is None:
            raise InputError("give the processor images, text or both")
        made = BatchFeature({})
        count = 1
        if images is not None:
            made = self.image_processor(images, annotations=annotations, return_tensors=return_tensors, **kwargs)
            count = len(made["pixel_values"])
        if text is not None:
            made.update(self._read(_prompts(text, count if images is not None else None)))
        return made

    def post_process_grounded_object_detection(
        self,
        outputs: Mapping[str, Any],
        text_labels: Text | None = None,
        threshold: float = 0.0,
        target_sizes: Tensor | Sequence[tuple[int, int]] | None = None,
    ) -> list[dict[str, Any]]:
        """Detections of all classes.

        Args:
            outputs: of the model, for input with ``class_tokens``.
            text_labels: the ``text`` that the processor was called with, for the names.
            threshold: the least score that is kept, 0 to 1.
            target_sizes: (height, width) of each photo; None: boxes stay in pixels of the network's input.

        Returns:
            per image ``scores``, ``labels`` and ``boxes`` of
            :meth:`GlipImageProcessor.post_process_object_detection`, and with ``text_labels`` their names.
        """
        found: list[dict[str, Any]] = self.image_processor.post_process_object_detection(
            outputs, threshold, target_sizes
        )
        if text_labels is not None:
            for one, prompt in zip(found, _prompts(text_labels, len(found)), strict=True):
                one["text_labels"] = [prompt.names[label] for label in one["labels"].tolist()]
        return found

    def _read(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        read = self.tokenizer([prompt.caption for prompt in prompts], padding=True, return_tensors="pt")
        ids, most = read["input_ids"], self.tokenizer.model_max_length
        if ids.shape[1] > most:
            raise InputError(
                f"the classes make {ids.shape[1]} tokens, the model reads at most {most}: ask for fewer at a time, "
                "or use glip_core, which splits them"
            )
        class_tokens = torch.zeros(len(prompts), max(map(len, prompts)), ids.shape[1], dtype=torch.int64)
        for row, prompt, encoding in zip(class_tokens, prompts, read.encodings, strict=True):
            for one, tokens in zip(row, prompt.token_map(encoding), strict=False):  # rows of fewer classes stay 0
                one[tokens] = 1
        return {"input_ids": ids, "attention_mask": read["attention_mask"], "class_tokens": class_tokens}


def make_tokenizer(vocabulary: Path, max_tokens: int) -> PreTrainedTokenizerFast:
    """The tokenizer of :mod:`glip_core` as transformers has it, with what it adds around and between tokens."""
    tokenizer = load_tokenizer(vocabulary)
    names = {name: f"[{name[:-6].upper()}]" for name in ("unk_token", "cls_token", "sep_token", "pad_token")}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer,
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
        **{name: token for name, token in names.items() if tokenizer.token_to_id(token) is not None},
    )


def _prompts(text: Text, count: int | None) -> list[Prompt]:
    """A prompt for each of ``count`` images; None: as many as there are."""
    if isinstance(text, Prompt | str) or all(isinstance(one, str) for one in text):
        return [Prompt.of(text)] * (count or 1)  # type: ignore[arg-type]
    prompts = [Prompt.of(one) for one in text]
    if count is not None and len(prompts) != count:
        raise InputError(f"{count} images but {len(prompts)} lists of classes; give one list for all, or one each")
    return prompts
