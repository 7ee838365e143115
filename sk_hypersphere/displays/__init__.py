"""Pictures of embeddings, as scikit-learn displays.

They may import `base`, and matplotlib inside `plot` alone.
"""

from sk_hypersphere.displays._embedding import EmbeddingDisplay

__all__ = ["EmbeddingDisplay"]
