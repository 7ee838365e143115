"""The estimators, one method a file; users import them from ``sk_hypersphere``.

They may import everything but `displays` and `testing`.
"""
