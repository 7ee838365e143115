r"""Base classes of all estimators, and the hooks that a method of your own supplies.

It may import `_training`, `losses`, `modules`, `preprocessing` and `exceptions`; it
knows no estimator.

A method inherits from one of the bases below, stores its parameters by
``store(locals())``, and defines hooks. Two are enough for a detector: `_plan` and
`_score`. ``examples/own_method.py`` is such a method, and
:func:`sk_hypersphere.testing.contract_tests` tests it in one line.

========================== =================================================
base                       for estimators that
========================== =================================================
BaseHypersphere            embed: `fit`, `transform`
BaseHypersphereScorer      score too: `score_samples`, `p_values`, `offset_`
BaseHypersphereDetector    say +1 or -1: `decision_function`, `predict`
BaseExampleDetector        do so, and read known anomalies from labels
BaseSemiSupervisedDetector do so where labels are optional, in mixed batches
BaseHypersphereClassifier  classify by centers: `predict`, `detect`, ...
BaseGeneralizedClassifier  do so, and push example anomalies off the spheres
========================== =================================================

Parameters that a constructor does not name have the defaults of the base: `encoder`,
`n_components`, `max_epochs`, `batch_size`, `lr`, `weight_decay`, `encoder_params`,
`net_params`, `callbacks`, `device`, `warm_start`, `verbose`, `random_state`, and where
there are scores `contamination`, `false_alarm_rate` and `calibration_fraction`.
Constraints of further parameters go into ``_parameter_constraints``, as in
scikit-learn.

The hooks are called in this order. All but `_plan`, `_score`, `_make_head` and
`_make_loss` have a default.

``_check_y(X, y, **labels)``
    Gets the validated samples, and the labels that `fit` was given. Returns labels for
    the hooks below, or raises a ValueError.

``_known(X, y)``
    Gets samples and checked labels. Returns the class of each sample, (n,): 0 or above
    for samples that may be held out to place the threshold, below 0 for anomalies.

``_hold_out(X, y, random_state)``
    Returns the indices of samples that nothing is learned from. The default of
    estimators that score draws them by `_known` and the threshold's parameters.

``_prepare(X, y, run)``
    Gets checked labels, and the :class:`Run` of this fit. Returns the `y` of `_plan`,
    for methods that fit other estimators to find it.

``_embedding_size(make)``, ``_image_encoder``
    The size of embeddings for an encoder class, and the encoder of images, by default.

``_plan(encoder, former, X, y, run)``
    Gets the encoder, and the module of the last fit under `warm_start` or None. Returns
    a :class:`Plan` of the module and the loss to be trained. The size of the embedding
    is ``self._n_features_out``. Classifiers define
    ``_make_head(former)``, ``_make_loss(y)`` and, where needed, ``_sampler()`` instead.

``_keep(rows, held_out, plan)``
    Sets fitted attributes once ``self.net_`` is trained. The default of estimators that
    score places the threshold at the scores of held-out samples, or of all samples.

``_score(output)``
    Gets the float64 output of the module for a batch, most often squared distances
    (m, k). Returns scores (m,), the lower the more abnormal. A method whose score is no
    function of the output defines ``_scores(X)`` for all samples instead. Classifiers
    have a default, and ``_logits(output)`` and ``_distances_in(output)`` beside it.

Parameters that scoring reads are copied in `_keep`, because later changes of parameters
must not change the scores of a fitted estimator.
"""

from sk_hypersphere._training.net import Run
from sk_hypersphere._training.schedules import Schedule
from sk_hypersphere.base._base import (
    BaseHypersphere,
    BaseHypersphereDetector,
    BaseHypersphereScorer,
    Plan,
)
from sk_hypersphere.base._classifier import (
    BaseGeneralizedClassifier,
    BaseHypersphereClassifier,
)
from sk_hypersphere.base._parameters import store
from sk_hypersphere.base._semi_supervised import (
    BaseExampleDetector,
    BaseSemiSupervisedDetector,
)

__all__ = [
    "BaseExampleDetector",
    "BaseGeneralizedClassifier",
    "BaseHypersphere",
    "BaseHypersphereClassifier",
    "BaseHypersphereDetector",
    "BaseHypersphereScorer",
    "BaseSemiSupervisedDetector",
    "Plan",
    "Run",
    "Schedule",
    "store",
]
