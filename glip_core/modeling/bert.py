"""The language side: WordPiece tokens and a BERT encoder."""

from __future__ import annotations

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
from glip_core.modeling.tokens import PromptTokens
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

    @property
    def tokens(self) -> PromptTokens:
        """How it reads prompts."""
        return PromptTokens(load_tokenizer(self.vocabulary), self.config.max_tokens)

    def tokenize(self, prompt: Prompt) -> Encoding:
        """See :meth:`PromptTokens.tokenize`."""
        return self.tokens.tokenize(prompt)

    def chunks(self, prompt: Prompt) -> list[Prompt]:
        """See :meth:`PromptTokens.chunks`."""
        return self.tokens.chunks(prompt)

    def token_map(self, prompt: Prompt) -> list[list[int]]:
        """See :meth:`PromptTokens.token_map`."""
        return self.tokens.token_map(prompt)

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
