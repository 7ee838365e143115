"""First-neighbour clustering (FINCH)."""

from numbers import Integral
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, ClusterMixin, _fit_context
from sklearn.metrics import silhouette_score
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import validate_data

from sk_hypersphere._training.arrays import as_array
from sk_hypersphere.base import _types as t
from sk_hypersphere.base._first_neighbors import (
    first_neighbor_components,
    merge_closest,
    sums_and_sizes,
)
from sk_hypersphere.base._parameters import store
from sk_hypersphere.exceptions import warn_caller

# Above this number of rows, a sample of as many gives the silhouette.
SILHOUETTE_ROWS = 10_000


METRICS = StrOptions({"cosine", "euclidean"})


NEIGHBORS = StrOptions({"exact", "approximate"})


@validate_params(
    {"X": ["array-like"], "metric": [METRICS], "neighbors": [NEIGHBORS]},
    prefer_skip_nested_validation=True,
)
def finch(
    X: t.Samples, *, metric: str = "cosine", neighbors: str = "exact"
) -> NDArray[np.intp]:
    r"""Cluster by first neighbours, from the finest partition to the coarsest.

    Every row is linked to its nearest other row, and the connected components of

    .. math::

        E = \{(i, \kappa_i)\}, \qquad \kappa_i = \arg\min_{j \ne i} d(x_i, x_j)

    are the clusters, where :math:`d` is the metric and :math:`\kappa_i` the first
    neighbour of row :math:`x_i`. The next partition links the means of the clusters
    in the same way, until all is one cluster; that last partition is left out.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows to cluster. Exact neighbours are searched in float64, whatever the dtype
        of `X`, and approximate ones in float32.

    metric : {"cosine", "euclidean"}, default="cosine"
        Distance between rows, and between means. A row of zeros has the cosine
        distance 0 to another row of zeros and 1 to every other row.

    neighbors : {"exact", "approximate"}, default="exact"
        How first neighbours are searched. "approximate" is for 100,000 rows or more;
        it needs pynndescent, ``pip install "sk-hypersphere[neighbors]"``, and misses
        some neighbours, see Notes. Up to 50,000 points, among them most means of
        clusters, and up to 4 features it is exact too.

    Returns
    -------
    partitions : ndarray of shape (n_samples, n_partitions)
        One column of labels per partition, the finest first. Labels run from 0, in
        the order in which the clusters first appear. Each cluster has two members or
        more, and is contained in one cluster of the next column. If the very first
        links join all rows, the only column is that single cluster.

    See Also
    --------
    FINCH : The estimator, which chooses one of the partitions.

    Notes
    -----
    The time of exact search is quadratic in the number of rows; for few features it is
    much less, by a KD-tree. Memory is linear. There is no parameter to tune and no
    random number. Of neighbours at the same distance the one with the lowest index is
    taken, so the order of the rows matters only where distances tie.

    The time of approximate search grows little faster than the number of rows. Its seed
    is fixed, and it runs on one thread: one input has one result, on any number of
    cores. The share of first neighbours that it finds, its recall, is near 1 where the
    data have few directions or clusters, and lower for rows that fill a space of many
    features. A row whose first neighbour is missed is linked to another one close by,
    so clusters of the finest partition are joined or split there, and coarser
    partitions follow. Of neighbours at the same distance any one is taken, and copies
    of a row can be in several clusters. In float32, rows that differ by less than about
    1e-7 of the largest value are copies.

    The early exit of the authors' code, which cuts long links, is not used.

    References
    ----------
    .. [1] S. Sarfraz, V. Sharma, R. Stiefelhagen. "Efficient Parameter-free Clustering
       Using First Neighbor Relations". CVPR 2019.

    Examples
    --------
    >>> from sk_hypersphere import finch
    >>> X = [[0], [1], [10], [11.5], [40], [41], [52], [53]]
    >>> finch(X, metric="euclidean")
    array([[0, 0],
           [0, 0],
           [1, 0],
           [1, 0],
           [2, 1],
           [2, 1],
           [3, 1],
           [3, 1]])
    """
    X = check_array(as_array(X), dtype=[np.float64, np.float32])
    labels = first_neighbor_components(X, metric, neighbors)
    partitions = [labels]
    sums, sizes = sums_and_sizes(X, labels)
    while len(sizes) > 1:
        means = sums / sizes[:, None]
        groups = first_neighbor_components(means, metric, neighbors)
        labels = groups[labels]
        partitions.append(labels)
        sums, sizes = sums_and_sizes(sums, groups, sizes)
    return np.column_stack(partitions[:-1] or partitions)


class FINCH(ClusterMixin, BaseEstimator):
    r"""Cluster by first neighbours, without a parameter that must be tuned.

    Every row is linked to its nearest other row, and the connected components of

    .. math::

        E = \{(i, \kappa_i)\}, \qquad \kappa_i = \arg\min_{j \ne i} d(x_i, x_j)

    are the clusters, where :math:`d` is the metric and :math:`\kappa_i` the first
    neighbour of row :math:`x_i`. The means of the clusters are linked in the same way,
    again and again, which gives a few nested partitions; one of them is chosen.

    Parameters
    ----------
    n_clusters : int, default=None
        Number of clusters, 1 or more. It is met exactly, by merging the closest pairs
        of means in the coarsest partition that has enough clusters; `partition` is
        then not used. Above the number of clusters in the finest partition, that
        partition is returned with a warning. None leaves the choice to `partition`.

    metric : {"cosine", "euclidean"}, default="cosine"
        Distance between rows, and between means. A row of zeros has the cosine
        distance 0 to another row of zeros and 1 to every other row.

    partition : {"silhouette", "coarsest"} or int, default="silhouette"
        Which partition gives `labels_`. "silhouette" is the one of the largest mean
        silhouette among all but the finest, the coarser of equals, or the only one if
        there is no other; above 10,000 rows, 10,000 rows drawn with a fixed seed give
        the silhouette. An int counts from the finest, 0, and a negative int from the
        coarsest, -1.

    max_clusters : int, default=None
        Largest number of clusters, 1 or more. If the chosen partition has more, or
        `n_clusters` is more, as many as that are made, by merging too. None sets no
        limit.

    neighbors : {"exact", "approximate"}, default="exact"
        How first neighbours are searched. "approximate" is for 100,000 rows or more;
        it needs pynndescent, ``pip install "sk-hypersphere[neighbors]"``, and misses
        some neighbours, see Notes. Up to 50,000 points, among them most means of
        clusters, and up to 4 features it is exact too.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row, from 0.

    n_clusters_ : int
        Number of clusters in `labels_`.

    partitions_ : ndarray of shape (n_samples, n_partitions)
        All partitions, from the finest to the coarsest. Each cluster has two members
        or more, and is contained in one cluster of the next column. A single cluster of
        all rows appears only where it is the only partition.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` has names that are all strings.

    See Also
    --------
    finch : The function under it, which returns all partitions.

    Notes
    -----
    The time of exact search is quadratic in the number of rows; for few features it is
    much less, by a KD-tree. Memory is linear. No result depends on chance: approximate
    search has a fixed seed. The notes of :func:`finch` say which neighbours it misses,
    and what follows for partitions. Of neighbours at the same distance exact search
    takes the one with the lowest index. The early exit of the authors' code, which cuts
    long links, is not used.

    References
    ----------
    .. [1] S. Sarfraz, V. Sharma, R. Stiefelhagen. "Efficient Parameter-free Clustering
       Using First Neighbor Relations". CVPR 2019.

    Examples
    --------
    >>> from sk_hypersphere import FINCH
    >>> X = [[0], [1], [10], [11.5], [30], [32]]
    >>> FINCH(metric="euclidean").fit_predict(X)
    array([0, 0, 1, 1, 2, 2])
    >>> FINCH(n_clusters=2, metric="euclidean").fit_predict(X)
    array([0, 0, 0, 0, 1, 1])
    """

    _parameter_constraints: dict = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "metric": [METRICS],
        "partition": [StrOptions({"silhouette", "coarsest"}), Integral],
        "max_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "neighbors": [NEIGHBORS],
    }

    def __init__(
        self,
        n_clusters: int | None = None,
        *,
        metric: str = "cosine",
        partition: str | int = "silhouette",
        max_clusters: int | None = None,
        neighbors: str = "exact",
    ) -> None:
        store(locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: t.Samples, y: t.Samples | None = None) -> Self:
        """Cluster the rows of `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to cluster; float32 is not copied to float64 but for the search of
            neighbours.

        y : None
            Ignored.

        Returns
        -------
        self : FINCH
            The fitted estimator.

        Raises
        ------
        ImportError
            If pynndescent is needed and not installed.

        ValueError
            If `partition` is an int and there is no such partition.
        """
        X = validate_data(self, as_array(X), dtype=[np.float64, np.float32])
        self.partitions_ = finch(X, metric=self.metric, neighbors=self.neighbors)
        if self.n_clusters is None:
            self.labels_ = self.partitions_[:, self._chosen_partition(X)].copy()
        else:
            self.labels_ = self._n_clusters_or_finest(X)
        self.n_clusters_ = int(self.labels_.max()) + 1
        if self.max_clusters is not None and self.n_clusters_ > self.max_clusters:
            self.labels_ = self._merged_to(self.max_clusters, X)
            self.n_clusters_ = self.max_clusters
        return self

    def _chosen_partition(self, X):
        n_partitions = self.partitions_.shape[1]
        if self.partition == "coarsest":
            return -1
        if self.partition == "silhouette":
            return _best_silhouette(X, self.partitions_, self.metric)
        if not -n_partitions <= self.partition < n_partitions:
            raise ValueError(
                f"`partition` of FINCH must be below the number of partitions found in "
                f"X, {n_partitions}, and at least {-n_partitions}; got "
                f"{self.partition}. Pass 0 for the finest partition, -1 or 'coarsest' "
                "for the coarsest."
            )
        return self.partition

    def _n_clusters_or_finest(self, X):
        n_finest = self.partitions_[:, 0].max() + 1
        if self.n_clusters > n_finest:
            warn_caller(
                f"`n_clusters` of FINCH must be at most the number of clusters in the "
                f"finest partition, {n_finest}; got {self.n_clusters}. The finest "
                "partition is returned. Pass a smaller n_clusters to be rid of this "
                "warning."
            )
            return self.partitions_[:, 0].copy()
        return self._merged_to(self.n_clusters, X)

    def _merged_to(self, n_clusters, X):
        """Labels of a number of clusters, of which the finest partition has enough."""
        counts = self.partitions_.max(axis=0) + 1
        coarsest_with_enough = np.flatnonzero(counts >= n_clusters)[-1]
        labels = self.partitions_[:, coarsest_with_enough]
        sums, sizes = sums_and_sizes(X, labels)
        return merge_closest(sums, sizes, n_clusters, self.metric)[labels]


def _best_silhouette(X, partitions, metric):
    """Column of the largest mean silhouette, among all but the finest."""
    n_partitions = partitions.shape[1]
    if n_partitions == 1:
        return 0
    if len(X) > SILHOUETTE_ROWS:
        seed = np.random.RandomState(0)  # fixed: one input has one result
        rows = seed.choice(len(X), SILHOUETTE_ROWS, replace=False)
        X, partitions = X[rows], partitions[rows]
    coarsest_first = range(n_partitions - 1, 0, -1)
    return max(
        coarsest_first, key=lambda i: _mean_silhouette(X, partitions[:, i], metric)
    )


def _mean_silhouette(X, labels, metric):
    """Mean silhouette, 0 where a sample of rows leaves it undefined."""
    if not 2 <= len(np.unique(labels)) < len(X):
        return 0.0
    with config_context(working_memory=64):  # MiB of distances held at once
        return silhouette_score(X, labels, metric=metric)
