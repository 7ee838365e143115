"""From arrays to a trained net: rows, batches, seeds, schedules, one skorch net.

It may import `losses`, `modules` and `exceptions`; it knows no estimator.
"""
