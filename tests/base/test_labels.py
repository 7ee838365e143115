"""Labels of any type, and the rules by which they mark anomalies."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from sk_hypersphere import HSC, DeepSVDD, FitOnNormal, MCHADClassifier
from sk_hypersphere.base._labels import (
    as_labels,
    binary_labels,
    classes_and_codes,
    is_label,
    known_labels,
    replace_where,
)
from sk_hypersphere.exceptions import SupervisionWarning

MIXED = np.array(["cat", -1, 2.5, None, "-1"], dtype=object)

FOUND = [
    ([0, 1, -1, -1], -1, [False, False, True, True]),
    ([0, 1, -1], -1.0, [False, False, True]),
    ([0, 1, -1], 2, [False, False, False]),
    ([0.5, -1.0, 1e-9], -1, [False, True, False]),
    ([0.5, np.nan], 0.5, [True, False]),
    ([True, False], True, [True, False]),
    ([True, False], -1, [False, False]),
    (["cat", "dog"], "dog", [False, True]),
    (["cat", "category"], "cat", [True, False]),
    (["cat", "-1"], "-1", [False, True]),
    (MIXED, "cat", [True, False, False, False, False]),
    (MIXED, -1, [False, True, False, False, False]),
    (MIXED, "-1", [False, False, False, False, True]),
    (MIXED, 2.5, [False, False, True, False, False]),
]


@pytest.mark.parametrize(("y", "label", "expected"), FOUND)
def test_a_label_is_found_by_its_value(y, label, expected):
    found = is_label(np.asarray(y), label)
    assert found.dtype == bool
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("y", "label"),
    [
        ([0, 1, -1], "-1"),
        ([0.5, -1.0], "-1.0"),
        ([True, False], "True"),
        (["cat", "dog"], -1),
        (["cat", "10"], 1),
        (["1.5", "-1.0"], 1),
    ],
)
def test_text_is_no_number(y, label):
    assert not is_label(np.array(y), label).any()


@pytest.mark.parametrize(
    "y", [[0, -1], [0.5, -1.0], [True, False], ["cat", "dog"], ["cat", "None"], MIXED]
)
def test_none_matches_no_label(y):
    found = is_label(np.asarray(y), None)
    assert found.dtype == bool and found.shape == (len(y),)
    assert not found.any()


@pytest.mark.parametrize("dtype", [int, float, bool, str, object])
@pytest.mark.parametrize("label", [-1, 0.5, "cat", None])
def test_an_empty_array_holds_no_label(dtype, label):
    assert is_label(np.array([], dtype=dtype), label).shape == (0,)


@pytest.mark.parametrize(
    ("y", "label"), [(["cat", -1], -1), (["cat", 2.5], 2.5), ([1, "cat"], 1)]
)
def test_numbers_that_numpy_turned_into_text_are_refused(y, label):
    message = (
        rf"y must hold anomaly_label={label} as it is, got the text '{label}' among "
        r"other texts\. Give y as an array with dtype=object, or choose a text"
    )
    with pytest.raises(ValueError, match=message):
        is_label(np.array(y), label)
    expected = [value == label for value in y]
    assert is_label(np.array(y, dtype=object), label).tolist() == expected


REPLACED = [
    ([0, 1, 2], -1, [-1, 1, -1]),
    ([0.5, 1.5, 2.5], -1, [-1.0, 1.5, -1.0]),
    ([0, 1, 2], -0.5, [-0.5, 1.0, -0.5]),
    ([0, 1, 2], "neither", ["neither", 1, "neither"]),
    ([0.5, 1.5, 2.5], "neither", ["neither", 1.5, "neither"]),
    ([False, True, True], -1, [-1, 1, -1]),
    (["cat", "dog", "owl"], "neither", ["neither", "dog", "neither"]),
    (["cat", "dog", "owl"], -1, [-1, "dog", -1]),
    (["cat", "dog", "owl"], "", ["", "dog", ""]),
    (np.array(["cat", 1, 2.5], dtype=object), -1, [-1, 1, -1]),
    (np.array(["cat", 1, 2.5], dtype=object), "neither", ["neither", 1, "neither"]),
    (np.array([0, 1, 255], dtype=np.uint8), -1, [-1, 1, -1]),
    (np.array([0, 1, 2], dtype=np.int8), 1000, [1000, 1, 1000]),
]


@pytest.mark.parametrize(("y", "label", "expected"), REPLACED)
def test_labels_are_replaced_where_the_mask_is_set(y, label, expected):
    y = np.asarray(y)
    before = y.copy()
    replaced = replace_where(np.array([True, False, True]), y, label)
    assert replaced.tolist() == expected
    assert [*map(type, replaced.tolist())] == [*map(type, expected)]
    np.testing.assert_array_equal(y, before)


@pytest.mark.parametrize(("y", "label", "expected"), REPLACED)
def test_the_type_does_not_depend_on_the_mask(y, label, expected):
    y = np.asarray(y)
    none, every = (replace_where(np.full(3, mask), y, label) for mask in (False, True))
    assert none.dtype == every.dtype
    assert none.tolist() == y.tolist()
    assert every.tolist() == [label] * 3


@pytest.mark.parametrize(("y", "label", "expected"), REPLACED)
def test_a_label_is_found_where_it_was_put(y, label, expected):
    mask = np.array([True, False, True])
    replaced = replace_where(mask, np.asarray(y), label)
    np.testing.assert_array_equal(is_label(replaced, label), mask)


@pytest.mark.parametrize("label", [-1, -1.0])
def test_large_whole_numbers_keep_their_digits(label):
    for y in (np.array([2**60 + 1, 5]), np.array([2**63 + 1, 5], dtype=np.uint64)):
        replaced = replace_where(np.array([False, True]), y, label)
        assert replaced.tolist() == [y[0], -1]


def test_dates_and_a_number_stay_what_they_are():
    y = np.array(["2026-11-22", "2026-11-23"], dtype="datetime64[D]")
    replaced = replace_where(np.array([False, True]), y, -1)
    assert replaced[0] == y[0].item() and replaced[1] == -1


# Classes


@pytest.mark.parametrize(
    ("y", "expected", "codes"),
    [
        (["dog", "cat", "dog"], ["cat", "dog"], [1, 0, 1]),
        (np.array(["dog", "cat"], dtype=object), ["cat", "dog"], [1, 0]),
        ([7, -1, 7, 3], [-1, 3, 7], [2, 0, 2, 1]),
        ([2.0, 1.0], [1.0, 2.0], [1, 0]),
        (np.array([10, 9], dtype=object), [9, 10], [1, 0]),
        (np.array([2.0, 1, True], dtype=object), [1.0, 2.0], [1, 0, 0]),
        ([True, False], [False, True], [1, 0]),
        (np.array([255, 0], dtype=np.uint8), [0, 255], [1, 0]),
        (["one"], ["one"], [0]),
    ],
)
def test_classes_are_sorted_and_numbered(y, expected, codes):
    classes, numbers = classes_and_codes(as_labels(y))
    assert classes.tolist() == expected and numbers.tolist() == codes
    assert [*map(type, classes.tolist())] == [*map(type, expected)]


@pytest.mark.parametrize("name", ["y", "cluster_labels"])
def test_classes_that_cannot_be_sorted_are_refused_by_name(name):
    message = f"^{name} must hold classes that can be sorted, got int, str. Make them"
    with pytest.raises(ValueError, match=message):
        classes_and_codes(as_labels(["cat", 1]), name)


@pytest.mark.parametrize("name", ["y", "cluster_labels"])
@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_labels_are_refused_by_name(name, missing):
    with pytest.raises(ValueError, match=f"^{name} must hold a label for every sample"):
        as_labels(["cat", missing], name)
    with pytest.raises(ValueError, match=f"{name} contains NaN"):
        as_labels([1.0, np.nan], name)


def test_measurements_are_no_classes():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classes_and_codes(np.array([0.5, 1.25]))


# The rule that marks anomalies, row by row

KNOWN = [
    pytest.param([1, -1, 1], None, [1, -1, 1], id="+1/-1"),
    pytest.param([0, 1, 0], None, [0, -1, 0], id="0/1"),
    pytest.param([0, -1, 0], None, [0, -1, 0], id="0/-1"),
    pytest.param([-1, 0, 1], None, [-1, 0, 1], id="-1/0/+1"),
    pytest.param([-1, 0, 1, 2, -2], None, [-1, 0, 1, 1, 1], id="-1 and more"),
    pytest.param([False, True], None, [0, -1], id="booleans"),
    pytest.param([0.0, 1.0], None, [0, -1], id="0.0/1.0"),
    pytest.param([1.0, -1.0, 0.0], None, [1, -1, 0], id="floats"),
    pytest.param(np.array([0, 1], dtype=np.uint8), None, [0, -1], id="bytes 0/1"),
    pytest.param(np.array([7, 255], dtype=np.uint8), None, [1, -1], id="bytes"),
    pytest.param(np.array([1, -1], dtype=np.int8), None, [1, -1], id="short"),
    pytest.param([3, 8, 3], None, [1, -1, 1], id="two integers"),
    pytest.param([-3, -8], None, [-1, 1], id="two integers below 0"),
    pytest.param([0.5, -2.5], None, [-1, 1], id="two floats"),
    pytest.param(["0", "1"], "1", [1, -1], id="numbers as text"),
    pytest.param(np.array([0, 1], dtype=object), None, [0, -1], id="objects"),
    pytest.param(np.array([[0], [-1]])[:, 0], None, [0, -1], id="a column"),
    pytest.param(["good", "bad"], "bad", [1, -1], id="text"),
    pytest.param(["a", "b", "c", "b"], "b", [1, -1, 1, -1], id="three texts"),
    pytest.param(["1", "-1"], "-1", [1, -1], id="numbers as text"),
    pytest.param([0, 1, 2], 2, [0, 1, -1], id="three integers"),
    pytest.param([0, 1], 0, [-1, 1], id="0 is the anomaly"),
    pytest.param([1, -1, 0], 1, [-1, 1, 0], id="1 is the anomaly"),
    pytest.param(["good", "bad", 0], "bad", [1, -1, 0], id="text and number"),
    pytest.param(["good", -1, 0], -1, [1, -1, 0], id="number and text"),
]


@pytest.mark.parametrize(("y", "anomaly_label", "expected"), KNOWN)
def test_labels_say_which_rows_are_anomalies(y, anomaly_label, expected):
    labels = binary_labels(y, anomaly_label)
    assert labels.dtype == np.int64
    assert labels.tolist() == expected


def test_known_normal_rows_are_distinguished_from_unlabelled_ones():
    assert binary_labels([0, 1, 1], anomaly_label=-1).tolist() == [0, 1, 1]


@pytest.mark.parametrize(("y", "anomaly_label", "expected"), KNOWN)
def test_the_order_of_the_rows_does_not_matter(y, anomaly_label, expected):
    labels = binary_labels(y[::-1], anomaly_label)
    assert labels.tolist() == expected[::-1]


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([0, 0], [0, 0]),
        ([1, 1], [1, 1]),
        ([7, 7], [1, 1]),
        ([False, False], [0, 0]),
        ([True, True], [1, 1]),
        ([0.0, 0.0], [0, 0]),
        (["good", "good"], [1, 1]),
        (["-1", "-1"], [1, 1]),
    ],
)
def test_one_label_alone_is_no_anomaly(y, expected):
    assert binary_labels(y).tolist() == expected


@pytest.mark.parametrize(
    ("y", "anomaly_label"),
    [([-1, -1], None), ([-1.0], None), ([1, 1], 1), (["bad", "bad"], "bad")],
)
def test_nothing_but_anomalies_is_refused(y, anomaly_label):
    message = "y must hold samples that are not anomalies, got .* Add normal samples"
    with pytest.raises(ValueError, match=message):
        binary_labels(y, anomaly_label)


@pytest.mark.parametrize("anomaly_label", [None, -1, "bad"])
@pytest.mark.parametrize(
    "y",
    [
        [1.0, np.nan, -1.0],
        np.array([1, np.nan, -1], dtype=object),
        np.array(["good", None, "bad"], dtype=object),
        ["good", np.nan, "bad"],
        [1, None, -1],
        [None, None, None],
    ],
    ids=str,
)
def test_missing_labels_are_refused(y, anomaly_label):
    with pytest.raises(ValueError, match="NaN"):
        binary_labels(y, anomaly_label)


@pytest.mark.parametrize(
    ("y", "shown"),
    [
        ([0, 1, 2], r"Got 0, 1, 2 and anomaly_label=None"),
        ([5, 9, 7, 5], r"Got 5, 9, 7 and anomaly_label=None"),
        ([*range(9)], r"Got 0, 1, 2, 3, 4, \.\.\. and anomaly_label=None"),
        ([0.5, 1.5, 2.5], r"Got 0\.5, 1\.5, 2\.5 and"),
        (["good", "bad"], r"Got 'good', 'bad' and"),
        (["1", "-1"], r"Got '1', '-1' and"),
        (["good", -1], r"Got 'good', -1 and"),
    ],
)
def test_labels_that_do_not_say_which_are_anomalies_say_nothing(y, shown):
    with pytest.warns(SupervisionWarning, match=shown):
        labels = binary_labels(y)
    assert labels.dtype == np.int64 and labels.tolist() == [0] * len(y)


@pytest.mark.parametrize(
    ("y", "anomaly_label", "expected"),
    [
        ([0, 1, 1], 7, [0, 1, 1]),
        ([1, -1], "-1", [1, 1]),
        (["good", "bad"], "worse", [1, 1]),
        (["good", "bad"], -1, [1, 1]),
    ],
)
def test_an_anomaly_label_that_no_row_has_is_warned_of(y, anomaly_label, expected):
    shown = r"so that no anomaly is known\. Set anomaly_label"
    with pytest.warns(SupervisionWarning, match=shown):
        labels = binary_labels(y, anomaly_label)
    assert labels.tolist() == expected


def test_an_anomaly_label_as_a_number_among_texts_is_refused():
    with pytest.raises(ValueError, match="y must hold anomaly_label=-1 as it is"):
        binary_labels(np.array(["good", "-1"]), -1)


# Required anomalies


@pytest.mark.parametrize(("y", "anomaly_label", "expected"), KNOWN)
def test_required_anomalies_that_are_there_change_nothing(y, anomaly_label, expected):
    assert binary_labels(y, anomaly_label, required=True).tolist() == expected


@pytest.mark.parametrize(
    ("y", "anomaly_label", "shown"),
    [
        ([0, 0], None, "got 0 and anomaly_label=None, .* n_samples=2 is"),
        ([7, 7, 7], None, "got 7 and anomaly_label=None, .* n_samples=3 is"),
        ([False, False], None, "got False and anomaly_label=None"),
        (["good", "good"], None, "got 'good' and anomaly_label=None"),
        (["good", "bad"], None, "got 'good', 'bad' and anomaly_label=None"),
        (["good", "bad"], "worse", "got 'good', 'bad' and anomaly_label='worse'"),
        ([0, 1, 2], None, "got 0, 1, 2 and anomaly_label=None"),
        ([*range(9)], None, r"got 0, 1, 2, 3, 4, \.\.\. and anomaly_label=None"),
        ([0, 1], -1, "got 0, 1 and anomaly_label=-1"),
        ([1, -1], 7, "got 1, -1 and anomaly_label=7"),
    ],
)
def test_required_anomalies_that_are_not_there_are_an_error(y, anomaly_label, shown):
    message = f"y must hold normal samples and anomalies, .*{shown}.*Label some, or set"
    with pytest.raises(ValueError, match=message):  # there is no warning
        binary_labels(y, anomaly_label, required=True)


def test_normal_samples_are_required_too():
    with pytest.raises(ValueError, match="y must hold samples that are not anomalies"):
        binary_labels([-1, -1], required=True)


def test_the_labels_given_are_left_as_they_were():
    y = np.array([0, 1, 0])
    labels = binary_labels(y)
    labels[:] = 5
    assert y.tolist() == [0, 1, 0]


# Labels as an estimator reads them


@pytest.mark.parametrize(
    ("estimator", "y", "expected"),
    [
        (HSC(), [1, 1, -1], [0, 0, -1]),
        (HSC(), [0, 0, 1], [0, 0, -1]),
        (HSC(anomaly_label=-1), [0, 1, -1], [0, 0, -1]),
        (HSC(anomaly_label="bad"), ["bad", "good", "good"], [-1, 0, 0]),
        (FitOnNormal(DeepSVDD()), [1, 1, -1], [0, 0, -1]),
        (MCHADClassifier(), ["b", "a", "b"], [1, 0, 1]),
        (MCHADClassifier(), [5, -1, 7], [1, 0, 2]),
        (MCHADClassifier(anomaly_label=-1), [5, -1, 7], [0, -1, 1]),
        (MCHADClassifier(anomaly_label="?"), ["b", "?", "a"], [1, -1, 0]),
        (MCHADClassifier(anomaly_label=-1), [-1, -1, -1], [-1, -1, -1]),
        (DeepSVDD(), [1, 1, -1], [0, 0, 0]),  # it reads no labels
        (IsolationForest(), [1, 1, -1], [0, 0, 0]),
        (HSC(), None, [0, 0, 0]),
        (MCHADClassifier(), None, [0, 0, 0]),
    ],
)
def test_an_estimator_knows_rows_by_the_labels_that_it_reads(estimator, y, expected):
    known = known_labels(estimator, np.zeros((3, 2)), y)
    np.testing.assert_array_equal(known, expected)
