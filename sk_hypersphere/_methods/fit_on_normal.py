"""A detector that takes labels and learns from the normal samples only."""

from numbers import Real

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_method_params,
    _estimator_has,
    check_is_fitted,
)

from sk_hypersphere.base import _types as t
from sk_hypersphere.base._labels import binary_labels
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._threshold import rule_of


class FitOnNormal(MetaEstimatorMixin, BaseEstimator):
    r"""Fit a detector on the samples that are not labelled as anomalies.

    Detectors of scikit-learn ignore labels, and in a pipeline learn from all samples,
    example anomalies among them. This is a step that leaves these out:
    ``make_pipeline(EIDNEmbedder(), FitOnNormal(IsolationForest()))`` embeds with the
    help of labels, and learns from the embeddings of normal samples alone. It stands
    around the last step only. Only `fit` reads labels; the threshold, `predict`,
    `score_samples`, `decision_function` and `p_values` are the detector's, where it has
    them:
    :class:`~sklearn.neighbors.LocalOutlierFactor` does with ``novelty=True``,
    :class:`~sklearn.mixture.GaussianMixture` scores but predicts components.

    Parameters
    ----------
    estimator : object
        The detector, or anything else that is fitted without labels. A copy is fitted.

    anomaly_label : int, float, str or None, default=None
        Label of the example anomalies in `y`. None means -1 if there are any -1, else
        the larger of exactly two numbers: +1 and -1, 0 and 1, False and True all mean
        what they usually mean. Texts need to be named here, and in an embedder in front
        of it too. In cross-validation of -1, 0 and +1 set -1: of a fold without
        anomalies, +1 would be the larger. Labels that do not fit are not used, and a
        warning says so.

    Attributes
    ----------
    estimator_ : object
        The fitted copy.

    offset_ : float
        The threshold of the detector, where it has one.

    n_features_in_ : int
        Number of features, where the detector has it.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the training data had names.

    See Also
    --------
    EIDNEmbedder : An embedding that is learned with example anomalies.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import LocalOutlierFactor
    >>> from sk_hypersphere import FitOnNormal
    >>> X = np.r_[np.linspace(0, 1, 50), np.full(50, 5.0)][:, None]
    >>> y = np.repeat([1, -1], 50)
    >>> detector = FitOnNormal(LocalOutlierFactor(novelty=True)).fit(X, y)
    >>> detector.predict([[0.5], [5.0]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods("fit")],
        "anomaly_label": [Interval(Real, None, None, closed="neither"), str, None],
    }

    def __init__(
        self, estimator: t.Estimator, *, anomaly_label: t.Label = None
    ) -> None:
        store(locals())

    # The detector validates its own parameters.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **fit_params):
        """Fit the detector.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Training samples of any kind that the detector takes.

        y : array-like of shape (n_samples,), default=None
            Labels, whose meaning `anomaly_label` explains. None: there are no
            anomalies.

        **fit_params : dict
            Handed to `fit` of the detector; of what has an entry for each sample, such
            as `sample_weight`, the entries of the normal samples.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If labels are missing, or all samples are anomalies.

        Warns
        -----
        SupervisionWarning
            If the labels do not say which samples are anomalies.
        """
        X, y = indexable(X, y)
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        if y is not None:
            labels = binary_labels(y, self.anomaly_label)
            if np.any(labels < 0):
                normal = np.flatnonzero(labels >= 0)
                fit_params = _check_method_params(X, fit_params, indices=normal)
                X = _safe_indexing(X, normal)
        self.estimator_ = clone(self.estimator).fit(X, **fit_params)
        return self

    def _threshold_rule(self):
        return rule_of(self.estimator)

    def get_metadata_routing(self):
        """Name the metadata that the detector asks for.

        Returns
        -------
        MetadataRouter
        """
        methods = MethodMapping().add(caller="fit", callee="fit")
        methods.add(caller="fit_predict", callee="fit")
        router = MetadataRouter(owner=self)
        return router.add(estimator=self.estimator, method_mapping=methods)

    @available_if(_estimator_has("predict"))
    def fit_predict(self, X, y=None, **fit_params):
        """Fit the detector, and say which training samples are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Training samples.

        y : array-like of shape (n_samples,), default=None
            Labels, as in `fit`.

        **fit_params : dict
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predictions of the detector: -1 for anomalies, +1 for the rest.
        """
        return self.fit(X, y, **fit_params).predict(X)

    @available_if(_estimator_has("predict"))
    def predict(self, X):
        """Say which samples are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for anomalies, +1 for the rest.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("score_samples"))
    def score_samples(self, X):
        """Score samples: the lower, the more abnormal.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The detector's scores.
        """
        check_is_fitted(self)
        return self.estimator_.score_samples(X)

    @available_if(_estimator_has("p_values"))
    def p_values(self, X):
        """Conformal p-values: how likely a normal sample scores as low.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            The detector's p-values; detectors of this package have them.
        """
        check_is_fitted(self)
        return self.estimator_.p_values(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X):
        """Score samples relative to the threshold: below 0 for anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The detector's scores.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @property
    def offset_(self):
        check_is_fitted(self)
        return self.estimator_.offset_

    @property
    def n_features_in_(self):
        check_is_fitted(self)
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self):
        check_is_fitted(self)
        return self.estimator_.feature_names_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(getattr(self, "estimator_", self.estimator))
        tags.estimator_type = inner.estimator_type
        tags.input_tags = inner.input_tags
        return tags
