"""First-neighbour clustering (FINCH)."""

import threading
from numbers import Integral

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from sklearn import config_context
from sklearn.base import BaseEstimator, ClusterMixin, _fit_context
from sklearn.metrics import silhouette_score
from sklearn.utils import check_array, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import validate_data

from sk_hypersphere._arrays import as_array
from sk_hypersphere.exceptions import warn_caller

# Above this number of rows the silhouette is that of a sample of as many.
SILHOUETTE_ROWS = 10_000

# Distances held at once where neighbours tie: 32 MiB of float64, more only where the
# rows are so many that a block would have fewer than BLOCK_ROWS.
BLOCK_ENTRIES = 2**22
BLOCK_ROWS = 16

# A KD-tree takes this share of the time of brute force, on one thread, for Gaussian
# rows and, in brackets, blobs: 2,000 x 4 .37 (.26), x 8 2.0 (.53); 20,000 x 4 .10
# (.06), x 8 .77 (.21), x 10 2.0 (.35); 200,000 x 8 .39 (.22), x 12 2.8 (.42), x 32 45
# (1.0).
TREE_FEATURES = 4
TREE_FEATURES_OF_MANY_ROWS = 8
MANY_ROWS = 20_000

# Up to here "approximate" is exact too. On one thread 20,000 x 32 take both ways 2 s;
# 200,000 x 32 take 29 s instead of 220 s, but Numba compiles for 35 to 60 s first.
APPROXIMATE_ROWS = 50_000
N_CANDIDATES = 30  # neighbours looked for, of which the nearest is taken

# Numba's own threads must not be entered by two of the caller's at a time.
APPROXIMATE_SEARCH = threading.Lock()

COLUMNS = 16  # of float32 that are added up at once

EPS = np.finfo(np.float64).eps

METRICS = StrOptions({"cosine", "euclidean"})
NEIGHBORS = StrOptions({"exact", "approximate"})


@validate_params(
    {"X": ["array-like"], "metric": [METRICS], "neighbors": [NEIGHBORS]},
    prefer_skip_nested_validation=True,
)
def finch(X, *, metric="cosine", neighbors="exact"):
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
    labels = _first_neighbor_components(X, metric, neighbors)
    partitions = [labels]
    sums, sizes = sums_and_sizes(X, labels)
    while len(sizes) > 1:
        means = sums / sizes[:, None]
        groups = _first_neighbor_components(means, metric, neighbors)
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
    search has a fixed seed. What it misses, and what that does to partitions, is said
    in the notes of :func:`finch`. Of neighbours at the same distance exact search takes
    the one with the lowest index. The early exit of the authors' code, which cuts long
    links, is not used.

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
        n_clusters=None,
        *,
        metric="cosine",
        partition="silhouette",
        max_clusters=None,
        neighbors="exact",
    ):
        self.n_clusters = n_clusters
        self.metric = metric
        self.partition = partition
        self.max_clusters = max_clusters
        self.neighbors = neighbors

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
        """Labels of so many clusters, of which the finest partition has as many."""
        counts = self.partitions_.max(axis=0) + 1
        coarsest_with_enough = np.flatnonzero(counts >= n_clusters)[-1]
        labels = self.partitions_[:, coarsest_with_enough]
        sums, sizes = sums_and_sizes(X, labels)
        return _merge_closest(sums, sizes, n_clusters, self.metric)[labels]


def _first_neighbor_components(points, metric, neighbors):
    """Label the connected components of the graph point -> first neighbour."""
    n = len(points)
    if n < 4:  # a component has two members or more
        return np.zeros(n, dtype=np.intp)
    links = (np.ones(n), (np.arange(n), _first_neighbors(points, metric, neighbors)))
    _, labels = connected_components(csr_array(links, shape=(n, n)), directed=False)
    return labels.astype(np.intp)


def _first_neighbors(points, metric, neighbors="exact"):
    """Index of the nearest other point."""
    Z = _as_euclidean(points, metric)
    is_large = len(Z) > APPROXIMATE_ROWS and Z.shape[1] > TREE_FEATURES
    if neighbors == "approximate" and is_large:
        return _approximate_first_neighbors(Z)
    return _exact_first_neighbors(Z, _exact_algorithm(*Z.shape))


def _exact_algorithm(n_rows, n_features):
    """The quicker of scikit-learn's ways to search."""
    few = TREE_FEATURES_OF_MANY_ROWS if n_rows >= MANY_ROWS else TREE_FEATURES
    return "kd_tree" if n_features <= few else "brute"


def _exact_first_neighbors(Z, algorithm):
    """Index of the nearest other point, the lowest index among equals."""
    # Here, because importing it takes longer than all of this package.
    from sklearn.neighbors import NearestNeighbors

    neighbors = NearestNeighbors(n_neighbors=2, algorithm=algorithm).fit(Z)
    distances, indices = neighbors.kneighbors()
    nearest = indices[:, 0].copy()

    # Brute force expands |a - b|^2 = |a|^2 - 2ab + |b|^2, which is exact only up to the
    # rounding of the squared norms, so a lead smaller than that is no lead.
    first, second = np.square(distances).T
    sq_norms = np.einsum("ij,ij->i", Z, Z)
    slack = (Z.shape[1] + 8) * EPS * (3 * sq_norms + 2 * first)
    tied = np.flatnonzero(second - first <= slack)
    if len(tied) == 0:
        return nearest
    if algorithm == "brute":
        candidates_of = _candidates_by_brute_force(Z, tied, sq_norms, slack[tied])
    else:
        candidates_of = _candidates_in_tree(Z, tied, np.sqrt(first + slack)[tied])
    norms = np.sqrt(sq_norms)
    for row, candidates in candidates_of:
        nearest[row] = _closest(Z, row, candidates, norms[row])
    return nearest


def _candidates_by_brute_force(Z, tied, sq_norms, slack):
    """Tied rows, each with the other rows that may be nearest, in order of index."""
    for batch in gen_batches(len(tied), max(BLOCK_ROWS, BLOCK_ENTRIES // len(Z))):
        rows = tied[batch]
        sq_distances = sq_norms - 2 * Z[rows] @ Z.T  # (batch, n), less own norm
        sq_distances[np.arange(len(rows)), rows] = np.inf
        farthest = sq_distances.min(axis=1) + slack[batch]
        for row, is_candidate in zip(
            rows, sq_distances <= farthest[:, None], strict=True
        ):
            yield row, np.flatnonzero(is_candidate)


def _candidates_in_tree(Z, tied, radii):
    """The same, for radii within which the nearest rows are."""
    from sklearn.neighbors import KDTree  # here, as in `_exact_first_neighbors`

    tree = KDTree(Z)
    counts = tree.query_radius(Z[tied], radii, count_only=True)
    blocks = counts.cumsum() // BLOCK_ENTRIES
    for batch in np.split(np.arange(len(tied)), np.flatnonzero(np.diff(blocks)) + 1):
        rows = tied[batch]
        for row, within in zip(
            rows, tree.query_radius(Z[rows], radii[batch]), strict=True
        ):
            yield row, np.sort(within[within != row])


def _approximate_first_neighbors(Z):
    """Index of another point close by, most often the nearest."""
    try:
        import numba
        from pynndescent import NNDescent
    except ImportError as error:
        raise ImportError(
            "`neighbors` of FINCH must be 'exact' where pynndescent is not installed; "
            "got 'approximate'. Run `pip install \"sk-hypersphere[neighbors]\"`, or "
            "pass neighbors='exact'."
        ) from error
    Z = Z / (np.abs(Z).max() or 1)  # squares of large numbers overflow float32
    with APPROXIMATE_SEARCH:
        n_threads = numba.get_num_threads()
        try:
            # Other numbers of threads find other neighbours.
            graph = NNDescent(
                Z.astype(np.float32),
                n_neighbors=N_CANDIDATES,
                random_state=0,  # fixed: one input has one result
                n_jobs=1,
            ).neighbor_graph
        finally:  # an interruption leaves the one thread
            numba.set_num_threads(n_threads)
    return _nearest_candidates(Z, graph[0])


def _nearest_candidates(Z, candidates):
    """First neighbours out of some for each row, and by exact search where none is."""
    nearest = _first_others(candidates, np.arange(len(Z)))
    lonely = np.flatnonzero(nearest < 0)
    if len(lonely) > 0:
        from sklearn.neighbors import NearestNeighbors  # here, as above

        search = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(Z)
        candidates = search.kneighbors(Z[lonely], return_distance=False)
        nearest[lonely] = _first_others(candidates, lonely)
    return nearest


def _first_others(candidates, rows):
    """First candidate of each row that is not the row itself; -1 where none is left."""
    is_other = (candidates != rows[:, None]) & (candidates >= 0)  # (n, n_candidates)
    first = np.take_along_axis(candidates, is_other.argmax(axis=1)[:, None], axis=1)
    return np.where(is_other.any(axis=1), first[:, 0], -1)


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
    p = sums.shape[1]
    # The product copies what is float32 to float64: not all of it at once.
    step = COLUMNS if sums.dtype == np.float32 else p
    totals = np.hstack([members @ sums[:, c : c + step] for c in range(0, p, step)])
    return totals, members @ (np.ones(n) if sizes is None else sizes)


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
