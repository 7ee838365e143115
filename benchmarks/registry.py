"""All tables by their names, in the groups in which the index shows them.

A table is a module with NAME, DESCRIPTION, ``run(results, options)`` and
``render(rows)``. One that can be run small has a SMOKE.
"""

from benchmarks.papers import (
    deep_svdd,
    eidn,
    eidn_pictures,
    exposure,
    exposure_cifar10,
    finch,
    loss_curves,
    mchad,
    mchad_cifar10,
    subclusters,
    subclusters_cifar10,
)
from benchmarks.studies import ensembles, growth, imports, profile
from benchmarks.tables import false_alarms, multi_radius, quickstart, speed, tabular

GROUPS = {
    "tables": (quickstart, tabular, false_alarms, multi_radius, speed),
    "papers": (
        deep_svdd,
        mchad,
        mchad_cifar10,
        exposure,
        exposure_cifar10,
        subclusters,
        subclusters_cifar10,
        eidn,
        eidn_pictures,
        finch,
        loss_curves,
    ),
    "studies": (ensembles, growth, profile, imports),
}
TABLES = {table.NAME: table for group in GROUPS.values() for table in group}
