"""What the estimators are worth: ``python -m benchmarks [TABLE ...]``."""
