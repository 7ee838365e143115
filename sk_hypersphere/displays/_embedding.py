"""Display of an embedding in the plane."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_argmin
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, check_consistent_length, check_scalar

from sk_hypersphere.base._labels import as_labels, binary_labels, is_label
from sk_hypersphere.base._parameters import former_attribute

# The type is Any, because matplotlib is imported only inside of `plot`.
Axes = Any

# Okabe and Ito's blue and vermilion are distinct with every common color blindness.
_NORMAL_COLOR = "#0072B2"
_ANOMALY_COLOR = "#D55E00"


class EmbeddingDisplay:
    """Embedding of samples in the plane, with centers, spheres and anomalies.

    Use :meth:`from_estimator` to make one. All parameters are stored as attributes.

    Embeddings of more than two dimensions are shown on their first two principal
    components: for an orthonormal basis :math:`W` of that plane and their mean
    :math:`m`, a point :math:`z` is drawn at :math:`W(z - m)`. The projection of the
    sphere :math:`\\lVert z - c \\rVert = R` with center :math:`c` is the disc of the
    same radius :math:`R` around :math:`W(c - m)`. A sample drawn outside a circle is
    outside that sphere, but a sample drawn inside may still lie in front of the sphere
    or behind it. Embeddings of one or two dimensions are drawn as they are, so a sample
    drawn inside a circle is inside that sphere.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, 2)
        Samples in the plane.

    is_anomaly : ndarray of shape (n_samples,) of bool, default=None
        Mask of the samples that are drawn as anomalies. None draws all samples alike.

    centers : ndarray of shape (n_centers, 2), default=None
        Centers in the plane. None draws neither centers nor spheres.

    radii : ndarray of shape (n_centers,), default=None
        Radii of the spheres (not squared). None draws no spheres.

    cluster_sizes : ndarray of shape (n_centers,), default=None
        Number of samples of each center. The largest clusters are drawn first if there
        are many. None draws the centers in their given order.

    names : tuple of str, default=("normal", "anomaly")
        Legend names of the samples that are not anomalies, and of the anomalies.

    axis_labels : tuple of str, default=("component 1", "component 2")
        Labels of the two axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes on which the embedding is drawn.

    figure_ : matplotlib Figure
        The figure of `ax_`.

    normals_ : matplotlib PathCollection or None
        Samples that are not anomalies, None if there are none.

    anomalies_ : matplotlib PathCollection or None
        Anomalies, None if there are none.

    center_markers_ : matplotlib PathCollection or None
        The centers drawn, None if there are none.

    spheres_ : list of matplotlib Circle
        The spheres drawn, largest cluster first.

    See Also
    --------
    sklearn.inspection.DecisionBoundaryDisplay : Boundary over two input features.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from sk_hypersphere.displays import EmbeddingDisplay
    >>> display = EmbeddingDisplay(
    ...     embedding=np.array([[0.0, 0.5], [0.5, 0.0], [3.0, 3.0]]),
    ...     is_anomaly=np.array([False, False, True]),
    ...     centers=np.array([[0.0, 0.0]]),
    ...     radii=np.array([1.0]),
    ... )
    >>> display = display.plot(ax=Figure().subplots())
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['normal (2)', 'anomaly (1)', 'center and sphere (1)']
    """

    centers_ = former_attribute("centers_", "center_markers_")

    def __init__(
        self,
        *,
        embedding: NDArray,
        is_anomaly: NDArray[np.bool_] | None = None,
        centers: NDArray | None = None,
        radii: NDArray | None = None,
        cluster_sizes: NDArray | None = None,
        names: tuple[str, str] = ("normal", "anomaly"),
        axis_labels: tuple[str, str] = ("component 1", "component 2"),
    ):
        self.embedding = embedding
        self.is_anomaly = is_anomaly
        self.centers = centers
        self.radii = radii
        self.cluster_sizes = cluster_sizes
        self.names = names
        self.axis_labels = axis_labels

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        anomaly_label: float | str | None = None,
        ax: Axes | None = None,
        max_spheres: int = 30,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Embed `X` with a fitted estimator and draw it.

        Parameters
        ----------
        estimator : object
            Fitted estimator with `transform`, or a pipeline that ends in one. Its
            `centers_`, `radii_` and `cluster_sizes_` are used if it has them.

        X : array-like of shape (n_samples, ...)
            Samples, as `estimator.transform` takes them.

        y : array-like of shape (n_samples,), default=None
            Labels of any type. Anomalies are the rows labelled `anomaly_label`. If
            neither `anomaly_label` nor the estimator names a label, anomalies are the
            rows labelled -1 if there are any, else the rows with the larger of exactly
            two numbers; for a classifier, all labels then are classes. Labels that do
            not say which samples are anomalies are not used: all samples are drawn
            alike. None calls the estimator's `detect`, which the classifiers of this
            package have, or its `predict`, if it is no classifier and predicts only +1
            and -1; otherwise all samples are drawn alike.

        anomaly_label : int, float, str or None, default=None
            Label of the anomalies in `y`. None means the parameter `anomaly_label` of
            the estimator, or of the last step of a pipeline, if it has one.

        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        max_spheres : int, default=30
            Largest number of centers and spheres to draw, with the largest clusters
            first: hundreds of circles would hide the samples. Cluster sizes are
            `cluster_sizes_`, or else the number of rows of `X` nearest to each center.

        scatter_kwargs : dict, default=None
            Passed to :func:`matplotlib.pyplot.scatter` for the samples.

        Returns
        -------
        display : EmbeddingDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If the estimator has no `transform`.
        ValueError
            If `y` is not as long as `X` or lacks labels, or if all samples are labelled
            as anomalies and the estimator is no classifier.

        Warns
        -----
        SupervisionWarning
            If labels differ, but do not say which samples are anomalies.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA
        >>> from sk_hypersphere.displays import EmbeddingDisplay
        >>> X, species = load_iris(return_X_y=True)
        >>> display = EmbeddingDisplay.from_estimator(
        ...     PCA(3).fit(X), X, species == 2, ax=Figure().subplots()
        ... )
        >>> display.ax_.get_xlabel()
        'principal component 1 (93 % of variance)'
        """
        estimator, X = _last_step(estimator, X)
        if not hasattr(estimator, "transform"):
            raise TypeError(
                f"estimator must have a transform method that embeds X; "
                f"{type(estimator).__name__} has none. Pass a fitted estimator of "
                f"sk_hypersphere, for example DeepSVDD()."
            )
        embedding = check_array(
            estimator.transform(X), dtype=np.float64, input_name="estimator.transform"
        )
        check_consistent_length(embedding, y)
        is_anomaly, names = _find_anomalies(estimator, X, y, anomaly_label)

        centers = getattr(estimator, "centers_", None)
        sizes = getattr(estimator, "cluster_sizes_", None)
        if centers is not None and sizes is None:
            nearest = pairwise_distances_argmin(embedding, centers)
            sizes = np.bincount(nearest, minlength=len(centers))
        embedding, centers, axis_labels = _project(embedding, centers)

        display = cls(
            embedding=embedding,
            is_anomaly=is_anomaly,
            centers=centers,
            radii=getattr(estimator, "radii_", None),
            cluster_sizes=sizes,
            names=names,
            axis_labels=axis_labels,
        )
        return display.plot(
            ax=ax, max_spheres=max_spheres, scatter_kwargs=scatter_kwargs
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        max_spheres: int = 30,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the samples, the centers and the spheres.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        max_spheres : int, default=30
            Largest number of centers and spheres to draw, with the largest clusters
            first. 0 draws only samples.

        scatter_kwargs : dict, default=None
            Passed to :func:`matplotlib.pyplot.scatter` for the samples.

        Returns
        -------
        self : EmbeddingDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_scalar(max_spheres, "max_spheres", Integral, min_val=0)
        self.ax_ = _new_axes() if ax is None else ax
        self.figure_ = self.ax_.figure
        self._draw_samples(scatter_kwargs or {})
        self._draw_spheres(max_spheres)

        x_label, y_label = self.axis_labels
        self.ax_.set(xlabel=x_label, ylabel=y_label)
        self.ax_.set_aspect("equal", adjustable="datalim")  # keeps spheres round
        # The corner is fixed: matplotlib's search for the best one is slow.
        self.ax_.legend(loc="upper right")
        return self

    def _draw_samples(self, scatter_kwargs):
        mask = self.is_anomaly
        if mask is None:
            mask = np.zeros(len(self.embedding), dtype=bool)
        normal, anomaly = self.names
        many = {"s": 8, "alpha": 0.5, "linewidths": 0, "color": _NORMAL_COLOR}
        few = {"s": 14, "alpha": 0.8, "linewidths": 0, "color": _ANOMALY_COLOR}
        self.normals_ = self._scatter(~mask, normal, many | scatter_kwargs)
        self.anomalies_ = self._scatter(mask, anomaly, few | scatter_kwargs)

    def _scatter(self, mask, name, style):
        if not mask.any():
            return None
        label = f"{name} ({np.count_nonzero(mask)})"
        return self.ax_.scatter(*self.embedding[mask].T, label=label, **style)

    def _draw_spheres(self, max_spheres):
        self.center_markers_, self.spheres_ = None, []
        if self.centers is None or max_spheres == 0:
            return
        n_centers = len(self.centers)
        largest = np.arange(n_centers)
        if self.cluster_sizes is not None:
            largest = np.argsort(-np.asarray(self.cluster_sizes), kind="stable")
        largest = largest[:max_spheres]

        if self.radii is not None:
            self.spheres_ = [
                self._add_circle(self.centers[k], self.radii[k]) for k in largest
            ]
        name = "center and sphere" if self.spheres_ else "center"
        shown = "" if len(largest) == n_centers else f"{len(largest)} of "
        label = f"{name} ({shown}{n_centers})"
        style = {"s": 40, "marker": "+", "color": "black", "label": label}
        self.center_markers_ = self.ax_.scatter(*self.centers[largest].T, **style)

    def _add_circle(self, center, radius):
        from matplotlib.patches import Circle

        circle = Circle(center, radius, fill=False, edgecolor="black", linewidth=0.8)
        return self.ax_.add_patch(circle)


def _new_axes():
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "EmbeddingDisplay.plot needs matplotlib, which is not installed. Install "
            "it with: python -m pip install 'sk-hypersphere[plot]'"
        ) from error
    return pyplot.subplots()[1]


def _last_step(estimator, X):
    """Return the last step of a pipeline and its input; anything else as it is."""
    while isinstance(estimator, Pipeline) and hasattr(estimator[-1], "transform"):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        estimator = estimator[-1]
    return estimator, X


def _find_anomalies(estimator, X, y, anomaly_label):
    """Return a mask (n_samples,) or None, and the legend names of its two sides."""
    if y is not None:
        labels = _read(y, estimator, anomaly_label)
        if labels.any():
            return labels < 0, ("normal", "anomaly")
    elif hasattr(estimator, "detect"):
        return estimator.detect(X) < 0, ("predicted normal", "predicted anomaly")
    elif hasattr(estimator, "predict") and not is_classifier(estimator):
        predicted = np.asarray(estimator.predict(X))
        if np.isin(predicted, [-1, 1]).all():
            return predicted < 0, ("predicted normal", "predicted anomaly")
    return None, ("sample", "anomaly")


def _read(y, estimator, anomaly_label):
    """Return -1 for anomalies, +1 for normal and 0 for unknown rows: (n_samples,)."""
    if anomaly_label is None:
        anomaly_label = getattr(estimator, "anomaly_label", None)
    if is_classifier(estimator):
        return np.where(is_label(as_labels(y), anomaly_label, "anomaly_label"), -1, 1)
    return binary_labels(y, anomaly_label)


def _project(embedding, centers):
    """Return samples (n, 2), centers (k, 2) or None, and the labels of the axes."""
    n_samples, n_components = embedding.shape
    points = embedding if centers is None else np.vstack([embedding, centers])
    axis_labels = ("component 1", "component 2")
    if n_components == 1:
        points = np.column_stack([points, np.zeros(len(points))])  # (n + k, 2)
        axis_labels = ("component 1", "")
    elif n_components > 2:
        points, axis_labels = _principal_plane(points)  # (n + k, 2)
    if centers is not None:
        centers = points[n_samples:]
    return points[:n_samples], centers, axis_labels


def _principal_plane(points):
    """Return the coordinates (m, 2) on the first two principal components."""
    pca = PCA(min(2, len(points)), svd_solver="full")  # needs no random numbers
    # If all points coincide (a collapsed embedding), their variance ratio is 0 / 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        coordinates = pca.fit_transform(points)
    ratios = np.nan_to_num(pca.explained_variance_ratio_)
    missing = 2 - len(ratios)  # one point has one component
    coordinates = np.pad(coordinates, [(0, 0), (0, missing)])  # (m, 2)
    ratios = np.pad(ratios, (0, missing))
    axis_labels = tuple(
        f"principal component {i} ({100 * ratio:.0f} % of variance)"
        for i, ratio in enumerate(ratios, start=1)
    )
    return coordinates, axis_labels
