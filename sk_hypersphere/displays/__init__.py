"""Plots of embeddings, as scikit-learn displays.

This folder may import `base`, and matplotlib only inside of `plot`.
"""

from sk_hypersphere.displays._embedding import EmbeddingDisplay

__all__ = ["EmbeddingDisplay"]
