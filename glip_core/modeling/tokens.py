"""A prompt's tokens: how many, of which classes, and in how many parts they fit into the model."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from tokenizers import BertWordPieceTokenizer, Encoding

from glip_core.errors import InputError
from glip_core.prompt import Prompt


@dataclass(frozen=True)
class PromptTokens:
    """Reads prompts as one model does.

    Attributes:
        tokenizer: of its vocabulary.
        max_tokens: the most that the model reads, [CLS] and [SEP] included.
    """

    tokenizer: BertWordPieceTokenizer
    max_tokens: int

    def tokenize(self, prompt: Prompt) -> Encoding:
        """Tokens of a prompt, [CLS] and [SEP] included.

        Raises:
            InputError: more than :attr:`max_tokens`; the official code would cut classes off silently.
        """
        encoding = self.tokenizer.encode(prompt.caption)
        if len(encoding.ids) > self.max_tokens:
            raise InputError(
                f"the prompt has {len(encoding.ids)} tokens, the model reads at most {self.max_tokens}: "
                f"shorten it or split its {len(prompt)} classes over several prompts ('{prompt.caption[:60]}...')"
            )
        return encoding

    def chunks(self, prompt: Prompt) -> list[Prompt]:
        """A prompt as consecutive prompts that fit; itself alone where it fits, or is a sentence.

        Words are tokenised one by one, so that a class has the same tokens in a part as in the whole.

        Raises:
            InputError: a single class is longer than the model reads.
        """
        encoding = self.tokenizer.encode(prompt.caption)
        if len(encoding.ids) <= self.max_tokens or prompt.segments is None:
            return [prompt]
        begins = [begin for begin, _ in encoding.offsets[1:-1]]  # without [CLS] and [SEP]
        room = self.max_tokens - 2
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
