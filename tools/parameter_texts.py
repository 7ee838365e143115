"""The one source of what estimators say of the parameters and attributes they share.

Each entry is worded here once. Words in braces differ by estimator; they stand in
`WORDS`, those of a family first. ``python -m tools.docstrings`` writes the texts into
the docstrings, with the default that the signature has.
"""

from typing import NamedTuple


class Entry(NamedTuple):
    """The type and the text of a parameter or attribute."""

    kind: str
    text: str


AUTO_OR_INT = 'int or "auto"'
AUTO_OR_FLOAT = 'float or "auto"'
LABEL = "int, float, str or None"
PER_CLASS = "float or array-like of shape (n_classes,)"

CHANGES = (
    "``augment(batch)`` returns a changed copy of a float32 tensor, (m, n_features) or "
    "(m, channels, height, width), of the same shape"
)

PARAMETERS = {
    "gamma": Entry("float", "Weight of the example anomalies, at least 0."),
    "radius": Entry(
        PER_CLASS,
        "Radius :math:`r_k` of all spheres, or one for each class in the order of "
        "`classes_`, at least 0, in units of the embedding. {radius}",
    ),
    "margin": Entry(
        PER_CLASS,
        "Margin :math:`m_k` that example anomalies have to keep from the spheres, at "
        "least 0, as `radius`.",
    ),
    "anomaly_label": Entry(LABEL, "{anomaly_label}"),
    "anomaly_ratio": Entry(
        "float",
        "Number of example anomalies in a training batch, relative to its {others}, "
        "above 0. It is rounded up, so that a batch has one at least. All are drawn "
        "before one is drawn again.",
    ),
    "reject": Entry(
        "bool",
        "If True, `predict` returns `anomaly_label` for samples that score below "
        "`offset_`.",
    ),
    "augment": Entry(
        "callable",
        f"Changes training batches: {CHANGES}, for example "
        ":class:`~sk_hypersphere.modules.AugmentImages`. A module is copied, never "
        "trained. None changes nothing. Random numbers that are not from torch's "
        "stream are not seeded.{augment}",
    ),
    "mix_anomalies": Entry(
        'bool or "auto"',
        "Whether the example anomalies of a batch are moved toward one another by "
        'random shares of the way, so that few of them say more. "auto" does so for '
        "rows, not for images. It assumes that samples between two anomalies are "
        "anomalies too, or are outnumbered there by normal samples.",
    ),
    "nu": Entry(
        "float",
        "Fraction of the training samples left outside {their} sphere, in (0, 1]: "
        "{the} radius is the (1 - nu) quantile of distances. It places `offset_` only "
        'where `contamination` is "boundary".{nu}',
    ),
    "center_epsilon": Entry(
        "float",
        "Least magnitude of the coordinates of a center, at least 0{center_epsilon}. "
        "Weights of zero could reach a coordinate of 0, which would let all samples "
        "collapse to the center.",
    ),
    "pretrain_epochs": Entry(
        AUTO_OR_INT,
        "Epochs of training as an autoencoder before centers are placed. "
        "{pretrain_epochs}",
    ),
    "pretrain_lr": Entry(
        "float",
        "Peak of the learning rate of the autoencoder, which rises for 15 % of the "
        "steps and then falls.",
    ),
    "code_penalty": Entry(
        "float",
        "Price of large codes in the autoencoder, at least 0, relative to squared "
        "errors in units of the span of the data. Above 0, unit noise is added to the "
        "codes, so that distances between them mean something; 0 is a plain "
        "autoencoder.",
    ),
    "decoder": Entry(
        "nn.Module",
        "Network from embeddings to samples, for the autoencoder; a copy is trained. "
        "None is the decoder that the encoders of this package bring.",
    ),
    "contamination": Entry(
        "{contamination_kind}",
        'How the threshold `offset_` is placed. "auto" keeps the promise of '
        "`false_alarm_rate` on new {normal}. A number in (0, 0.5] is the fraction of "
        "the {trained} that `{predict}` calls anomalies{judged}; more of the new ones "
        "fall below, because all samples are trained on.{boundary}",
    ),
    "false_alarm_rate": Entry(
        "float",
        "Fraction of new {normal} that `{predict}` is expected to call anomalies, in "
        '(0, 0.5], if `contamination` is "auto". It takes 1 / false_alarm_rate - 1 '
        "held-out samples at least; a "
        ":class:`~sk_hypersphere.exceptions.CalibrationWarning` says so where they are "
        "fewer.",
    ),
    "calibration_fraction": Entry(
        AUTO_OR_FLOAT,
        "Share of the {held_out} that is not trained on but places `offset_`, in "
        '(0, 1), if `contamination` is "auto". "auto" is a fifth, but 200 samples at '
        "least and 2,000 at most; the 200 may be a third of all, or a half where "
        "`false_alarm_rate` needs so many.{hidden} Earlier steps of a pipeline learn "
        "from all samples nevertheless. `warm_start` holds the same samples out again.",
    ),
    "encoder": Entry(
        "nn.Module, class, callable or None",
        "Network from a batch of samples to embeddings, (n_samples, n_components). A "
        "copy of a module is trained, never the module itself; a class or callable is "
        "called as ``encoder(input_shape, n_components, **encoder_params)``. None is "
        ":class:`~sk_hypersphere.modules.MLP` for rows and "
        ":class:`~sk_hypersphere.modules.{image_encoder}` for images.{collapse}",
    ),
    "n_components": Entry(
        AUTO_OR_INT,
        "Size of the embedding, for encoders built at fit{free}. "
        '"auto" is the default of the encoder{size}.',
    ),
    "max_epochs": Entry(AUTO_OR_INT, "Epochs of training{after}. {max_epochs}"),
    "batch_size": Entry("int", "{batch_size}"),
    "lr": Entry(
        AUTO_OR_FLOAT,
        "Learning rate of Adam. {lr} A number is kept throughout, unless a callback "
        "changes it.",
    ),
    "weight_decay": Entry("float", "L2 penalty of the weights, at least 0.{exempt}"),
    "encoder_params": Entry(
        "dict", "Further parameters of the encoder; each is also ``encoder__NAME``."
    ),
    "net_params": Entry(
        "dict",
        "Parameters of the skorch net that replace ours; each is also ``net__NAME``."
        "{split}",
    ),
    "callbacks": Entry(
        "list of skorch callbacks", "Called in training{not_in}. They are copied."
    ),
    "device": Entry(
        "str or torch.device",
        'Where to compute. "auto" is CUDA where there is one, else the CPU.',
    ),
    "warm_start": Entry(
        "bool",
        "If True, another `fit`{same} goes on with the encoder{goes_on} of the last."
        "{anew}",
    ),
    "verbose": Entry(
        "int", "1 shows one progress bar for the whole fit, with the loss on it."
    ),
    "random_state": Entry(
        "int, RandomState instance or None",
        "Seeds {seeded} at fit. An int gives the same bits every time, with the same "
        "number of torch threads: gradients may be summed in that many parts.",
    ),
}

ATTRIBUTES = {
    "classes_": Entry(
        "ndarray of shape (n_classes,)", "The classes, sorted, without `anomaly_label`."
    ),
    "offset_": Entry("float", "Threshold: {threshold}"),
    "calibration_indices_": Entry(
        "ndarray of shape (n_calibration_samples,)",
        "Indices of the samples given to `fit` that were held out to place the "
        "threshold.",
    ),
    "calibration_scores_": Entry(
        "ndarray of shape (n_calibration_samples,)", "Their scores, sorted."
    ),
    "net_": Entry(
        "skorch.NeuralNet",
        "The fitted net; ``net_.history`` has the loss of each epoch.",
    ),
    "n_iter_": Entry("int", "Epochs of training{without}."),
    "diagnostics_": Entry(
        "dict",
        '"n_trained_parameters", 0 where the encoder has nothing to train; '
        '"initial_embedding_variance" and "embedding_variance", before and after '
        'training, in squared units; "collapsed_components", the share of components '
        "whose variance fell to a millionth{diagnostics}.",
    ),
    "input_shape_": Entry("tuple of int", "Shape of one sample."),
    "n_features_in_": Entry("int", "Number of features; for images, of channels."),
    "feature_names_in_": Entry(
        "ndarray of shape (n_features_in_,)",
        "Names of the features, where the training data had names.",
    ),
}

TWO_NUMBERS = (
    "None means -1 if there are any -1, else the larger of exactly two numbers: +1 and "
    "-1, 0 and 1, False and True all mean what they usually mean."
)
FOLDS = (
    "Texts need to be named here. In cross-validation of -1, 0 and +1 set -1: in a "
    "fold without anomalies, +1 would be the larger."
)
NOT_USED = "Labels that do not fit are not used, and a warning says so."
ROC_AUC = (
    'For ``scoring="roc_auc"`` give +1 and -1: decisions are the higher the more '
    "normal."
)
NO_CLASSIFIER = (
    "Bagging, stacking and calibration want a classifier, which this is not."
)
LOWERED = '"auto" is 1e-3, and 1e-4 for the last 30 % of the epochs.'
FOR_ANOMALIES = (
    '"auto" is 5e-4 for rows; for images it is 1e-3, and 1e-4 for the last 30 % of the '
    'epochs. If `max_epochs` is "auto" too, it is lower in proportion where whole '
    "epochs have more batches than that asks for: two epochs of 49 batches in place of "
    "50 batches halve it."
)
BY_HEART = "A few anomalies are soon learned by heart"
ENOUGH_BATCHES = (
    '"auto" is as many as have 50 batches, or 150 of images. If these do not show '
    "every example anomaly 5 times on average, it is as many as do, but at most 100."
)
SIZES = ": 64 for the MLP, 32 for the ConvNet and for encoders without a default"
STRATIFIED = (
    " ``set_params(net__train_split=ValidSplit(5, stratified=True))`` keeps both kinds "
    "of samples in the part that early stopping looks at"
)
EXAMPLES = (
    '; "n_example_anomalies", the number of samples used as such; '
    '"n_distinct_scores" of the training samples'
)
SPREAD = '"distance_spread", the standard deviation of the distances over their mean'

# Words of all estimators, replaced by those of a family and then of an estimator.
COMMON = {
    "after": "",
    "augment": "",
    "anew": "",
    "boundary": "",
    "collapse": "",
    "contamination_kind": 'float or "auto"',
    "diagnostics": "",
    "exempt": "",
    "free": "",
    "goes_on": "",
    "hidden": "",
    "image_encoder": "ConvNet",
    "judged": "",
    "lr": LOWERED,
    "not_in": "",
    "nu": "",
    "same": "",
    "size": "",
    "split": "",
    "without": "",
    "batch_size": "Largest number of samples in a training batch.",
}
DETECTOR = {
    **COMMON,
    "normal": "normal samples",
    "predict": "predict",
    "held_out": "samples",
    "trained": "training samples",
    "threshold": "``decision_function = score_samples - offset_``.",
}
WITH_BOUNDARY = {**DETECTOR, "contamination_kind": '{"auto", "boundary"} or float'}
WITH_EXAMPLES = {
    **WITH_BOUNDARY,
    "held_out": "samples that are not labelled as anomalies",
    "trained": "training samples that are not labelled as anomalies",
    "others": "other samples",
    "hidden": (
        " Anomalies that are hidden among them lower the threshold, and with it the "
        "false alarms."
    ),
    "batch_size": (
        "Largest number of samples in a training batch that are not labelled as "
        "anomalies; example anomalies come on top."
    ),
    "size": SIZES,
    "lr": FOR_ANOMALIES,
}
CLASSIFIER = {
    **COMMON,
    "normal": "samples of known classes",
    "predict": "detect",
    "held_out": "samples of known classes",
    "trained": "training samples of known classes",
    "others": "samples of known classes",
    "threshold": "`detect` gives -1 where ``score_samples`` is below it.",
    "free": "; free, whatever the number of classes",
    "same": ", of the same classes,",
    "max_epochs": (
        '"auto" is 30, or as many as have 1,000 batches, but at most 300: with fewer, '
        "distances say little on small data."
    ),
    "batch_size": (
        "Largest number of samples of known classes in a training batch; example "
        "anomalies come on top."
    ),
    "radius": "A sample inside its sphere is compact enough.",
    "anomaly_label": (
        "Label of example anomalies in `y`, which are no class: they are only pushed "
        "off the spheres, and never enter `classes_`. None is no label. "
        "Meta-estimators that encode labels (bagging, voting, stacking, calibration) "
        "hide it: give them samples of known classes only."
    ),
    "seeded": "weights, calibration samples, order of samples and dropout",
}

WORDS = {
    "CACClassifier": {
        **CLASSIFIER,
        "radius": "With `margin`, it says where example anomalies may not be.",
    },
    "CenterLossClassifier": {
        **CLASSIFIER,
        "exempt": " Centers are exempt.",
        "goes_on": ", the centers and the linear classifier",
    },
    "IILossClassifier": {
        **CLASSIFIER,
        "anomaly_label": (
            "Label that `predict` returns for anomalies if `reject`. Samples with this "
            "label are refused: the loss compares means of classes, and example "
            "anomalies, which need not be alike, have no mean that says something "
            "about them."
        ),
        "batch_size": COMMON["batch_size"],
        "exempt": (
            " The loss does not depend on the scale of the embeddings, which it would "
            "bound."
        ),
    },
    "MCHADClassifier": {
        **CLASSIFIER,
        "exempt": " Centers are exempt.",
        "goes_on": " and the centers",
    },
    "DeepSVDD": {
        **WITH_BOUNDARY,
        "their": "their",
        "the": "every",
        "center_epsilon": "",
        "pretrain_epochs": (
            '"auto" is 4 for the encoders of images of this package and where a '
            "`decoder` is given, else 0."
        ),
        "boundary": (
            ' "boundary" is the surface of the spheres, a score of 0, which leaves '
            "`nu` of the training samples outside."
        ),
        "collapse": (
            " Long training or strong weight decay lets an encoder with a bias (as the "
            "MLP has), a learned shift of a normalization or a bounded activation map "
            "everything to one point; a "
            ":class:`~sk_hypersphere.exceptions.CollapseWarning` then names the layer."
        ),
        "size": (
            ": 64 for the MLP, 32 for the ConvNet, or 256 for both if `multi_radius`, "
            "of which the ConvNet learns 32; 32 for encoders without a default"
        ),
        "after": ", after those of the autoencoder",
        "max_epochs": (
            '"auto" is 1 for many spheres, which are in place before it: more would '
            "pull their clusters out of shape. For rows, these are spheres in nearly "
            "random features. For one sphere it is 30, or after pre-training as many "
            "as have 1,000 batches, but at least 30 and at most 300."
        ),
        "lr": (
            '"auto" is 1e-5 for many spheres. For one it is 1e-3, and 1e-4 for the '
            "last 30 % of the epochs; after pre-training 1e-4."
        ),
        "not_in": ", not in pre-training",
        "goes_on": " and the spheres",
        "anew": (
            " Samples join the nearest sphere, and nothing is pre-trained or clustered."
        ),
        "seeded": "weights, order of samples, dropout, pre-training and the clusterer",
        "without": ", without pre-training",
        "diagnostics": (
            '; of the training samples, "mean_sq_distance" to their centers, '
            f'{SPREAD}, and "n_distinct_scores"'
        ),
    },
    "DeepSAD": {
        **WITH_EXAMPLES,
        "anomaly_label": (
            f"Label of the example anomalies in `y`. {TWO_NUMBERS} Other labels mean "
            "known to be normal, but for 0 and False, which mean that nothing is "
            "known. If some samples are known to be normal, +1, and no anomaly is "
            f"known, set -1 here. A single label means no anomaly. {FOLDS} "
            f"{NO_CLASSIFIER} {NOT_USED} {ROC_AUC}"
        ),
        "their": "the",
        "the": "the",
        "nu": " Example anomalies do not count.",
        "center_epsilon": ', for "mean"',
        "pretrain_epochs": (
            "Example anomalies are left out, but for the statistics of normalization "
            'layers and the span of the data. "auto" is 4 where a `decoder` is given, '
            "and for the encoders of images of this package if there are no example "
            "anomalies, which are worth more; else 0."
        ),
        "boundary": (
            ' "boundary" is the surface of the sphere, a score of 0, which leaves `nu` '
            "of the training samples outside."
        ),
        "after": ", after those of the autoencoder",
        "max_epochs": (
            f"{BY_HEART}: {ENOUGH_BATCHES} Without example anomalies it is as in "
            ":class:`DeepSVDD`."
        ),
        "lr": (
            f"{FOR_ANOMALIES} Without example anomalies it is as in :class:`DeepSVDD`."
        ),
        "split": (
            f"{STRATIFIED}, in their own proportion. Another ``iterator_train`` makes "
            "its own batches, without `anomaly_ratio` and `mix_anomalies`."
        ),
        "not_in": ", not in pre-training",
        "goes_on": " and the center",
        "seeded": "weights, order of samples, pre-training and dropout",
        "without": ", without pre-training",
        "diagnostics": (
            f'{EXAMPLES}; of those that are not example anomalies, "mean_sq_distance" '
            f"to the center and {SPREAD}"
        ),
    },
    "HSC": {
        **WITH_EXAMPLES,
        "anomaly_label": (
            f"Label of the example anomalies in `y`. {TWO_NUMBERS} All other samples "
            "are taken for normal; a single label means that all are. "
            f"{FOLDS} {NOT_USED} {ROC_AUC} {NO_CLASSIFIER}"
        ),
        "boundary": (
            ' "boundary" is where both answers are equally likely in a training batch, '
            "which depends on `anomaly_ratio` and on the examples: other kinds of "
            "anomalies may rank low, but above it."
        ),
        "max_epochs": (
            f"{BY_HEART}: {ENOUGH_BATCHES} Without example anomalies it is 30."
        ),
        "lr": (
            f"{FOR_ANOMALIES} Without example anomalies it is 1e-3, and 1e-4 for the "
            "last 30 % of the epochs."
        ),
        "split": (
            f"{STRATIFIED}, in their own proportion. Another ``iterator_train`` makes "
            "its own batches, without `anomaly_ratio` and `mix_anomalies`."
        ),
        "goes_on": " and the head",
        "seeded": "weights, order of samples and dropout",
        "diagnostics": EXAMPLES,
    },
    "EIDNEmbedder": {
        **WITH_EXAMPLES,
        "anomaly_label": (
            f"Label of the anomalies in `y`. {TWO_NUMBERS} All other samples are taken "
            f"for normal. {FOLDS} {ROC_AUC} Before scikit-learn 1.9, a search within a "
            "cross-validation needs a function for `scoring`, as the search is not "
            f"taken for a detector. {NO_CLASSIFIER}"
        ),
        "held_out": "normal samples",
        "trained": "normal training samples",
        "boundary": ' "boundary" is half way from the origin to the ones.',
        "image_encoder": "DropoutConvNet",
        "augment": (
            " With few anomalies nothing helps more, if changed normal samples are "
            "still normal."
        ),
        "size": "",
        "max_epochs": (
            '"auto" is as many as have 50 batches, or 500 of images; if these do not '
            "show every anomaly 5 times on average, as many as do; and twice as many "
            "with `augment`."
        ),
        "batch_size": (
            "Number of normal samples in a training batch, which has as many anomalies."
        ),
        "lr": (
            '"auto" is 5e-4, or 2e-3 for images, and a tenth of this for the last 30 % '
            "of the epochs."
        ),
        "split": (
            f"{STRATIFIED}. Another ``iterator_train`` makes its own batches: with "
            '``triplets="random"``, of m samples, number i and number i + m // 2 are a '
            "triplet if they are of different kinds."
        ),
        "seeded": "weights, triplets, augmentation and dropout",
        "diagnostics": EXAMPLES,
    },
    "SubclusterDetector": {
        **DETECTOR,
        "judged": ", as judged by 10,000 of them if there are more",
        "max_epochs": (
            '"auto" is 30, or 6 of images, or as many as have 1,000 batches, but at '
            "most 300."
        ),
        "anew": (
            " It goes on with its linear layer too, if each sample is in the "
            "sub-cluster that it was in."
        ),
        "seeded": (
            "embedder and clusterer where their own is None, weights, calibration "
            "samples, order of samples and dropout"
        ),
        "diagnostics": (
            '; "n_distinct_scores" of the samples that place the threshold; '
            '"accuracy", the share of them whose sub-cluster is recognized'
        ),
    },
    "ISIFEmbedder": {
        **COMMON,
        "max_epochs": (
            '"auto" is 30, or 6 of images, or as many as have 1,000 batches, but at '
            "most 300."
        ),
        "batch_size": (
            "Largest number of samples in a training batch, at least 2. It has two "
            "views of each, and a view is recognized among these."
        ),
        "goes_on": " and the projection",
        "seeded": "weights, views, order of samples and dropout",
    },
    "HypersphereEnsemble": {**DETECTOR},
}

# Entries that an estimator words itself, because they mean something else there.
OWN = {
    "CACClassifier": {"centers_"},
    "EIDNEmbedder": {"margin"},
    "ISIFEmbedder": {"augment"},
    "HSC": {"gamma"},
    "HypersphereEnsemble": {"false_alarm_rate", "random_state", "classes_", "offset_"},
}
