"""What is looked at: scikit-learn displays. matplotlib is imported by `plot` only."""

from sk_hypersphere.displays._embedding import EmbeddingDisplay

__all__ = ["EmbeddingDisplay"]
