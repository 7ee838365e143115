"""The way from arrays to a trained net: rows, batches, seeds, schedules, skorch.

This folder may import `losses`, `modules` and `exceptions`; it knows no estimator.
"""
