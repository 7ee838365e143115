"""Nearest-neighbour search, clusters of linked neighbours, and their merging."""

import threading

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils import gen_batches

# Where neighbours tie, at most this many distances are held at once, 32 MiB of float64,
# unless a block would then have fewer than BLOCK_ROWS rows.
BLOCK_ENTRIES = 2**22
BLOCK_ROWS = 16

# A KD-tree is used up to these numbers of features. It takes these shares of the time
# of brute force, on one thread, for Gaussian rows and, in brackets, for blobs: 2,000
# x 4 .37 (.26), x 8 2.0 (.53); 20,000 x 4 .10 (.06), x 8 .77 (.21), x 10 2.0 (.35);
# 200,000 x 8 .39 (.22), x 12 2.8 (.42), x 32 45 (1.0).
TREE_FEATURES = 4
TREE_FEATURES_OF_MANY_ROWS = 8
MANY_ROWS = 20_000

# Up to this many rows, "approximate" search is exact too. On one thread, 20,000 x 32
# take 2 s both ways; 200,000 x 32 take 29 s instead of 220 s, but Numba compiles for 35
# to 60 s first.
APPROXIMATE_ROWS = 50_000

# Approximate search looks for this many neighbours and takes the nearest of them.
N_CANDIDATES = 30

# Two threads of the caller must not enter Numba's own threads at the same time.
APPROXIMATE_SEARCH = threading.Lock()

# This many columns of float32 are added up at once.
COLUMNS = 16

EPS = np.finfo(np.float64).eps


def first_neighbor_components(points, metric, neighbors):
    """Label the connected components of the graph point -> first neighbour."""
    n = len(points)
    if n < 4:  # every component has at least two members
        return np.zeros(n, dtype=np.intp)
    links = (np.ones(n), (np.arange(n), first_neighbors(points, metric, neighbors)))
    _, labels = connected_components(csr_array(links, shape=(n, n)), directed=False)
    return labels.astype(np.intp)


def first_neighbors(points, metric, neighbors="exact"):
    """Find the nearest other point of each point, as an index."""
    Z = _as_euclidean(points, metric)
    is_large = len(Z) > APPROXIMATE_ROWS and Z.shape[1] > TREE_FEATURES
    if neighbors == "approximate" and is_large:
        return _approximate_first_neighbors(Z)
    return _exact_first_neighbors(Z, _exact_algorithm(*Z.shape))


def _exact_algorithm(n_rows, n_features):
    """Choose the faster of scikit-learn's search algorithms."""
    few = TREE_FEATURES_OF_MANY_ROWS if n_rows >= MANY_ROWS else TREE_FEATURES
    return "kd_tree" if n_features <= few else "brute"


def _exact_first_neighbors(Z, algorithm):
    """Find the nearest other point of each point, the lowest index among equals."""
    # The import is here because it takes longer than importing all of this package.
    from sklearn.neighbors import NearestNeighbors

    neighbors = NearestNeighbors(n_neighbors=2, algorithm=algorithm).fit(Z)
    distances, indices = neighbors.kneighbors()
    nearest = indices[:, 0].copy()

    # Brute force expands |a - b|^2 = |a|^2 - 2ab + |b|^2, which is exact only up to the
    # rounding of the squared norms. Squared distances that differ by less are ties.
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
    """Yield each tied row with the other rows that may be nearest, by index."""
    for batch in gen_batches(len(tied), max(BLOCK_ROWS, BLOCK_ENTRIES // len(Z))):
        rows = tied[batch]
        sq_distances = sq_norms - 2 * Z[rows] @ Z.T  # (batch, n), own norm left out
        sq_distances[np.arange(len(rows)), rows] = np.inf
        farthest = sq_distances.min(axis=1) + slack[batch]
        for row, is_candidate in zip(
            rows, sq_distances <= farthest[:, None], strict=True
        ):
            yield row, np.flatnonzero(is_candidate)


def _candidates_in_tree(Z, tied, radii):
    """Yield the same by a tree, given radii within which the nearest rows are."""
    from sklearn.neighbors import KDTree  # slow to import

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
    """Find another point close to each point, most often the nearest."""
    try:
        import numba
        from pynndescent import NNDescent
    except ImportError as error:
        raise ImportError(
            "`neighbors` of FINCH must be 'exact' where pynndescent is not installed; "
            "got 'approximate'. Run `pip install \"sk-hypersphere[neighbors]\"`, or "
            "pass neighbors='exact'."
        ) from error
    Z = Z / (np.abs(Z).max() or 1)  # squares of large numbers overflow
    with APPROXIMATE_SEARCH:
        n_threads = numba.get_num_threads()
        try:
            # Neighbours depend on the number of threads, so it is always one.
            graph = NNDescent(
                Z.astype(np.float32),
                n_neighbors=N_CANDIDATES,
                random_state=0,  # the same input gives the same result
                n_jobs=1,
            ).neighbor_graph
        finally:  # after an interruption, Numba would keep a single thread
            numba.set_num_threads(n_threads)
    return _nearest_candidates(Z, graph[0])


def _nearest_candidates(Z, candidates):
    """Choose first neighbours among candidates, or by exact search without any."""
    nearest = _first_others(candidates, np.arange(len(Z)))
    lonely = np.flatnonzero(nearest < 0)
    if len(lonely) > 0:
        from sklearn.neighbors import NearestNeighbors  # slow to import

        search = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(Z)
        candidates = search.kneighbors(Z[lonely], return_distance=False)
        nearest[lonely] = _first_others(candidates, lonely)
    return nearest


def _first_others(candidates, rows):
    """Return each row's first candidate that is not the row itself, else -1."""
    is_other = (candidates != rows[:, None]) & (candidates >= 0)  # (n, n_candidates)
    first = np.take_along_axis(candidates, is_other.argmax(axis=1)[:, None], axis=1)
    return np.where(is_other.any(axis=1), first[:, 0], -1)


def _closest(Z, row, candidates, norm):
    """Find the candidate nearest to a row by differences, so without cancellation."""
    rounding = 8 * EPS * norm  # equal distances differ by up to this
    first = candidates[0]
    if np.linalg.norm(Z[first] - Z[row]) <= rounding:
        return first  # one copy is enough if there are thousands
    distances = np.linalg.norm(Z[candidates] - Z[row], axis=1)
    return candidates[(distances <= distances.min() + rounding).argmax()]


def _as_euclidean(points, metric):
    """Return float64 points whose Euclidean distances rank as the metric does."""
    if metric == "euclidean":
        # An offset common to all rows would cost digits of the squared norms. A median
        # that occurs in the data is subtracted, so that integers and ties stay exact.
        center = np.percentile(points, 50, axis=0, method="lower")
        return np.subtract(points, center, dtype=np.float64)
    return directions(points)


def directions(points):
    """Scale rows to length one; zero rows become orthogonal to all other rows."""
    Z = np.zeros((points.shape[0], points.shape[1] + 1))
    Z[:, :-1] = points
    norms = np.sqrt(np.einsum("ij,ij->i", Z, Z))
    Z[norms == 0, -1] = 1
    Z /= np.where(norms == 0, 1, norms)[:, None]
    return Z


def sums_and_sizes(sums, labels, sizes=None):
    """Add up rows, and the numbers of points that they stand for, by label."""
    n = len(labels)
    members = csr_array((np.ones(n), (labels, np.arange(n))))  # (n_clusters, n)
    p = sums.shape[1]
    # The product copies float32 to float64, so it takes a few columns at a time.
    step = COLUMNS if sums.dtype == np.float32 else p
    totals = np.hstack([members @ sums[:, c : c + step] for c in range(0, p, step)])
    return totals, members @ (np.ones(n) if sizes is None else sizes)


def merge_closest(sums, sizes, n_clusters, metric):
    """Merge the closest pair of means, again and again, down to `n_clusters`.

    Returns the new label of each given cluster. Only clusters whose nearest cluster was
    just merged search again, so a merge costs a few passes over the means.
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
