"""The tables, each with NAME, DESCRIPTION, run(results, options) and render(rows).

A table that draws has its file in PICTURE.
"""

from benchmarks.tables import (
    deep_svdd,
    eidn,
    eidn_pictures,
    ensembles,
    exposure,
    exposure_cifar10,
    false_alarms,
    finch,
    growth,
    imports,
    loss_curves,
    mchad,
    mchad_cifar10,
    multi_radius,
    profile,
    quickstart,
    speed,
    subclusters,
    subclusters_cifar10,
    tabular,
)

TABLES = {
    table.NAME: table
    for table in (
        quickstart,
        deep_svdd,
        multi_radius,
        mchad,
        mchad_cifar10,
        exposure,
        exposure_cifar10,
        subclusters,
        subclusters_cifar10,
        eidn,
        eidn_pictures,
        ensembles,
        tabular,
        false_alarms,
        finch,
        speed,
        growth,
        profile,
        imports,
        loss_curves,
    )
}
