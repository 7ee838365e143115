"""First-neighbour clustering (FINCH)."""

import warnings
from numbers import Integral

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from sklearn import config_context
from sklearn.base import BaseEstimator, ClusterMixin, _fit_context
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import validate_data

# Above this number of rows the silhouette is that of a sample of as many.
SILHOUETTE_ROWS = 10_000

# Distances held at once where neighbours tie: 32 MiB of float64.
BLOCK_ENTRIES = 2**22

EPS = np.finfo(np.float64).eps


@validate_params(
    {"X": ["array-like"], "metric": [StrOptions({"cosine", "euclidean"})]},
    prefer_skip_nested_validation=True,
)
def finch(X, *, metric="cosine"):
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
        Rows to cluster. Neighbours are searched in float64, whatever the dtype of `X`.

    metric : {"cosine", "euclidean"}, default="cosine"
        Distance between rows, and between means. A row of zeros has the cosine
        distance 0 to another row of zeros and 1 to every other row.

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
    Time is quadratic in the number of rows, memory is linear. There is no parameter
    to tune and no random number. Of neighbours at the same distance the one with the
    lowest index is taken, so the order of the rows matters only where distances tie.
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
    X = check_array(X, dtype=[np.float64, np.float32])
    labels = _first_neighbor_components(X, metric)
    partitions = [labels]
    sums, sizes = sums_and_sizes(X, labels)
    while len(sizes) > 1:
        groups = _first_neighbor_components(sums / sizes[:, None], metric)
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
        there is no other; above 10,000 rows the silhouette is that of 10,000 rows
        drawn with a fixed seed. An int counts from the finest, 0, and a negative int
        from the coarsest, -1.

    max_clusters : int, default=None
        Largest number of clusters, 1 or more. If the chosen partition has more, or
        `n_clusters` is more, as many as that are made, by merging too. None sets no
        limit.

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
    Time is quadratic in the number of rows, memory is linear, and no result depends on
    chance. Of neighbours at the same distance the one with the lowest index is taken.
    The early exit of the authors' code, which cuts long links, is not used.

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
        "metric": [StrOptions({"cosine", "euclidean"})],
        "partition": [StrOptions({"silhouette", "coarsest"}), Integral],
        "max_clusters": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        n_clusters=None,
        *,
        metric="cosine",
        partition="silhouette",
        max_clusters=None,
    ):
        self.n_clusters = n_clusters
        self.metric = metric
        self.partition = partition
        self.max_clusters = max_clusters

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
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
        ValueError
            If `partition` is an int and there is no such partition.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        self.partitions_ = finch(X, metric=self.metric)
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
            warnings.warn(
                f"`n_clusters` of FINCH must be at most the number of clusters in the "
                f"finest partition, {n_finest}; got {self.n_clusters}. The finest "
                "partition is returned. Pass a smaller n_clusters to be rid of this "
                "warning.",
                stacklevel=4,
            )
            return self.partitions_[:, 0].copy()
        return self._merged_to(self.n_clusters, X)

    def _merged_to(self, n_clusters, X):
        """Labels of so many clusters, of which the finest partition has as many."""
        counts = self.partitions_.max(axis=0) + 1
        coarsest_with_enough = np.flatnonzero(counts >= n_clusters)[-1]
        labels = self.partitions_[:, coarsest_with_enough]
        sums, sizes = sums_and_sizes(X, labels)
        return _merge_closest(sums, sizes, n_clusters, self.metric)[labels]


def _first_neighbor_components(points, metric):
    """Label the connected components of the graph point -> first neighbour."""
    n = len(points)
    if n < 4:  # a component has two members or more
        return np.zeros(n, dtype=np.intp)
    links = (np.ones(n), (np.arange(n), _first_neighbors(points, metric)))
    _, labels = connected_components(csr_array(links, shape=(n, n)), directed=False)
    return labels.astype(np.intp)


def _first_neighbors(points, metric):
    """Index of the nearest other point, the lowest index among equals."""
    Z = _as_euclidean(points, metric)
    neighbors = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(Z)
    distances, indices = neighbors.kneighbors()
    nearest = indices[:, 0].copy()

    # The search expands |a - b|^2 = |a|^2 - 2ab + |b|^2, which is exact only up to the
    # rounding of the squared norms, so a lead smaller than that is no lead.
    first, second = np.square(distances).T
    sq_norms = np.einsum("ij,ij->i", Z, Z)
    slack = (Z.shape[1] + 8) * EPS * (3 * sq_norms + 2 * first)
    norms = np.sqrt(sq_norms)
    tied = np.flatnonzero(second - first <= slack)
    for batch in gen_batches(len(tied), max(1, BLOCK_ENTRIES // len(Z))):
        rows = tied[batch]
        sq_distances = sq_norms - 2 * Z[rows] @ Z.T  # (batch, n), less own norm
        sq_distances[np.arange(len(rows)), rows] = np.inf
        smallest = sq_distances.min(axis=1)
        is_candidate = sq_distances <= (smallest + slack[rows])[:, None]
        for row, mask in zip(rows, is_candidate, strict=True):
            nearest[row] = _closest(Z, row, np.flatnonzero(mask), norms[row])
    return nearest


def _closest(Z, row, candidates, norm):
    """Candidate nearest to the row, by differences and so without cancellation."""
    rounding = 8 * EPS * norm  # what separates equal distances
    first = candidates[0]
    if np.linalg.norm(Z[first] - Z[row]) <= rounding:
        return first  # of thousands of copies, one is looked at
    distances = np.linalg.norm(Z[candidates] - Z[row], axis=1)
    return candidates[(distances <= distances.min() + rounding).argmax()]


def _as_euclidean(points, metric):
    """Float64 points whose Euclidean distances rank as the metric does."""
    if metric == "euclidean":
        # An offset common to all rows would eat the digits of the squared norms. A
        # median that occurs in the data keeps integers integer, and so their ties.
        center = np.percentile(points, 50, axis=0, method="lower")
        return np.subtract(points, center, dtype=np.float64)
    return directions(points)


def directions(points):
    """Rows of length one; zero rows are at right angles to every other row."""
    Z = np.zeros((points.shape[0], points.shape[1] + 1))
    Z[:, :-1] = points
    norms = np.sqrt(np.einsum("ij,ij->i", Z, Z))
    Z[norms == 0, -1] = 1
    Z /= np.where(norms == 0, 1, norms)[:, None]
    return Z


def sums_and_sizes(sums, labels, sizes=None):
    """Add up the rows, and the numbers of points they stand for, by label."""
    n = len(labels)
    members = csr_array((np.ones(n), (labels, np.arange(n))))  # (n_clusters, n)
    return members @ sums, members @ (np.ones(n) if sizes is None else sizes)


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


def _merge_closest(sums, sizes, n_clusters, metric):
    """Merge the closest pair of means, one after the other, down to `n_clusters`.

    Returns the new label of each cluster given. Only clusters whose nearest one was
    just merged look around again, so a merge costs a few passes over the means.
    """
    sums, sizes, groups = sums.copy(), sizes.copy(), np.arange(len(sizes))
    place = directions if metric == "cosine" else np.asarray
    Z = place(sums / sizes[:, None])
    nearest, sq_gaps = np.zeros_like(groups), np.full(len(groups), np.inf)
    is_gone = np.zeros(len(groups), dtype=bool)

    def look_around(i):
        sq_distances = np.square(Z - Z[i]).sum(axis=1)
        sq_distances[is_gone] = sq_distances[i] = np.inf
        nearest[i] = sq_distances.argmin()
        sq_gaps[i] = sq_distances[nearest[i]]
        return sq_distances

    for i in groups:
        look_around(i)
    for _ in range(len(groups) - n_clusters):
        closest = sq_gaps.argmin()
        kept, gone = sorted((closest, nearest[closest]))
        groups[groups == gone] = kept
        is_gone[gone], sq_gaps[gone] = True, np.inf
        sums[kept] += sums[gone]
        sizes[kept] += sizes[gone]
        Z[kept] = place(sums[[kept]] / sizes[kept])[0]

        sq_distances = look_around(kept)
        for i in np.flatnonzero(~is_gone & np.isin(nearest, (kept, gone))):
            look_around(i)
        is_nearer = sq_distances < sq_gaps
        is_nearer[kept] = False
        nearest[is_nearer], sq_gaps[is_nearer] = kept, sq_distances[is_nearer]
    return np.unique(groups, return_inverse=True)[1]
