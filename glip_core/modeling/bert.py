"""The language side: WordPiece tokens and a BERT encoder."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer, Encoding
from torch import Tensor, nn

from glip_core.config import TextConfig
from glip_core.errors import InputError
from glip_core.modeling import cpu
from glip_core.modeling.bert_layers import Bert
from glip_core.prompt import Prompt
from glip_core.types import TextFeatures

_DATA = Path(__file__).parents[1] / "data"
BERT_VOCABULARY = _DATA / "bert-base-uncased-vocab.txt"
NANO_VOCABULARY = _DATA / "nano-vocab.txt"


@lru_cache(maxsize=8)
def load_tokenizer(vocabulary: Path) -> BertWordPieceTokenizer:
    """An uncased WordPiece tokenizer.

    Args:
        vocabulary: a text file with one token a line, [PAD] [UNK] [CLS] [SEP] [MASK] among them.

    Raises:
        InputError: the file is missing or lacks the special tokens.
    """
    if not vocabulary.is_file():
        raise InputError(f"vocabulary '{vocabulary}' not found; give a WordPiece vocab.txt")
    try:
        tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    except Exception as error:  # the library raises bare Exceptions
        raise InputError(f"vocabulary '{vocabulary}' is not a WordPiece vocab.txt: {error}") from error
    missing = [t for t in ("[UNK]", "[CLS]", "[SEP]") if tokenizer.token_to_id(t) is None]
    if missing:
        raise InputError(f"vocabulary '{vocabulary}' lacks the token {missing[0]}; is it a BERT vocab.txt?")
    return tokenizer


class LanguageBackbone(nn.Module):
    """Prompts -> one feature vector per token.

    Only real tokens are computed. The official code pads every prompt to 256 tokens; padding is masked wherever
    anything looks at text, so leaving it out changes results by rounding only.
    """

    def __init__(self, config: TextConfig, *, vocabulary: Path) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.encoder = Bert(config)

    def tokenize(self, prompt: Prompt) -> Encoding:
        """Tokens of a prompt, [CLS] and [SEP] included.

        Raises:
            InputError: more than ``config.max_tokens`` tokens; the official code would cut classes off silently.
        """
        encoding = load_tokenizer(self.vocabulary).encode(prompt.caption)
        if len(encoding.ids) > self.config.max_tokens:
            raise InputError(
                f"the prompt has {len(encoding.ids)} tokens, the model reads at most {self.config.max_tokens}: "
                f"shorten it or split its {len(prompt)} classes over several prompts ('{prompt.caption[:60]}...')"
            )
        return encoding

    def chunks(self, prompt: Prompt) -> list[Prompt]:
        """A prompt as consecutive prompts that fit; itself alone where it fits, or is a sentence.

        Words are tokenised one by one, so that a class has the same tokens in a part as in the whole.

        Raises:
            InputError: a single class is longer than the model reads.
        """
        encoding = load_tokenizer(self.vocabulary).encode(prompt.caption)
        if len(encoding.ids) <= self.config.max_tokens or prompt.segments is None:
            return [prompt]
        begins = [begin for begin, _ in encoding.offsets[1:-1]]  # without [CLS] and [SEP]
        room = self.config.max_tokens - 2
        parts, first = [], 0
        for last in range(1, len(prompt) + 1):
            past = prompt.segments[last][1] if last < len(prompt) else None
            start = prompt.segments[first][0]
            if past is None or bisect_left(begins, past) - bisect_left(begins, start) > room:
                parts.append(prompt.part(first, last))
                first = last
        for part in parts:
            self.tokenize(part)  # for its error
        return parts

    def token_map(self, prompt: Prompt) -> list[list[int]]:
        """The token indices of each class of the prompt."""
        return prompt.token_map(self.tokenize(prompt))

    def forward(self, prompts: Prompt | Sequence[Prompt]) -> TextFeatures:
        """Encode one prompt shared by all images, or one prompt per image.

        Returns:
            Features ``[P, T, D]`` with T the longest prompt's tokens.
        """
        prompts = [prompts] if isinstance(prompts, Prompt) else list(prompts)
        rows = [self.tokenize(prompt).ids for prompt in prompts]
        device = self.encoder.embeddings.word_embeddings.weight.device
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = True
        return self.read(ids.to(device), mask.to(device))

    def read(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """Encode tokens that are numbers already.

        Args:
            ids: int64 ``[P, T]``, rows in the numbers of the vocabulary, [CLS] first.
            mask: bool ``[P, T]``, False where a row was padded.

        Returns:
            Features ``[P, T, D]``.
        """
        hidden: Tensor = self.encoder(ids, None if cpu.has_no_padding(mask) else mask)  # (P, T, D)
        return TextFeatures(embedded=hidden * mask[..., None], hidden=hidden, mask=mask)
