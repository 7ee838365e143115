"""Measures the estimators beside their rivals: ``python -m benchmarks [TABLE ...]``."""
