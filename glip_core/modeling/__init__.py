"""The layers: Swin and its pyramid, BERT, deep fusion, DyHead, heads."""
