"""The nano models' WordPiece vocabulary: trained on the miniature's own texts, able to spell anything."""

from __future__ import annotations

import string
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

from odinw_bench.miniature.pretraining import pretraining_texts

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_vocabulary(out: Path, *, size: int = 1024, texts: int = 4000, seed: int = 0) -> None:
    """Write a ``vocab.txt``.

    Args:
        out: where to.
        size: number of tokens at most.
        texts: captions and prompts to learn from.
        seed: of those texts.
    """
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    # Every letter, digit and sign is a token of its own, so a word that was never seen is spelt, not unknown.
    alphabet = list(string.ascii_lowercase + string.digits + string.punctuation)
    tokenizer.train_from_iterator(
        pretraining_texts(texts, seed),
        vocab_size=size,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokens = [token for token, _ in by_id]
    # The trainer adds continuations only of letters it saw inside a word.
    tokens += [f"##{letter}" for letter in alphabet if letter.isalnum() and f"##{letter}" not in tokenizer.get_vocab()]
    temporary = out.with_suffix(".part")
    temporary.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    temporary.replace(out)
