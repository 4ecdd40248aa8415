"""The nano models' WordPiece vocabulary: trained on the miniature's own texts, able to spell anything."""

from __future__ import annotations

import string
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

from odinw_bench.mini.pretraining import pretraining_texts
from odinw_bench.utils.io import write_text

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_vocabulary(out: Path, *, size: int = 1024, texts: int = 4000, seed: int = 0) -> None:
    """Write a ``vocab.txt``: the same bytes for the same arguments.

    Args:
        out: where to.
        size: number of tokens at most.
        texts: captions and prompts to learn from.
        seed: of those texts.
    """
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    # Every letter, digit and sign is a token of its own, so a word that was never seen is spelt, not unknown. The
    # trainer numbers what it meets inside words in the order of a hash map, and breaks ties by these numbers: to name
    # them all beforehand, with the special tokens, is what makes its result the same each time.
    alphabet = sorted(string.ascii_lowercase + string.digits)
    signs = sorted(string.punctuation)  # BERT splits at these: they stand alone
    tokenizer.train_from_iterator(
        pretraining_texts(texts, seed),
        vocab_size=size,
        min_frequency=2,
        special_tokens=[*SPECIAL, *signs, *alphabet, *(f"##{letter}" for letter in alphabet)],
        initial_alphabet=[],
        show_progress=False,
    )
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    write_text(out, "".join(f"{token}\n" for token, _ in by_id))
