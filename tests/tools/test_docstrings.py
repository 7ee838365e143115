"""Docstrings have the shared texts of parameters as their one source has them."""

import inspect

import pytest

import sk_hypersphere
from tools import docstrings
from tools.parameter_texts import ATTRIBUTES, OWN, PARAMETERS, WORDS

ESTIMATORS = pytest.mark.parametrize(
    "cls", [cls for cls, _ in docstrings.estimators()], ids=lambda cls: cls.__name__
)


def test_docstrings_are_written_from_their_source():
    repair = "run `python -m tools.docstrings`, or mend tools/parameter_texts.py"
    assert docstrings.main(["--check"]) == [], repair


@ESTIMATORS
def test_every_shared_parameter_is_in_the_docstring_as_written(cls):
    for name in inspect.signature(cls).parameters:
        if name in docstrings.shared_names(cls, "Parameters"):
            entry = docstrings.entry_text(cls, "Parameters", name)
            assert f"\n{entry}\n" in cls.__doc__, name


def test_every_word_fills_a_blank_and_every_estimator_is_there():
    texts = " ".join(
        f"{entry.kind} {entry.text}"
        for entry in [*PARAMETERS.values(), *ATTRIBUTES.values()]
    )
    for words in WORDS.values():
        assert [word for word in words if f"{{{word}}}" not in texts] == []
    assert WORDS.keys() <= {*sk_hypersphere.__all__} and OWN.keys() <= WORDS.keys()


def test_an_estimator_that_lacks_an_entry_gets_it_in_the_order_of_the_signature():
    cls = sk_hypersphere.HSC
    source = inspect.getsource(inspect.getmodule(cls))
    entry = docstrings.entry_text(cls, "Parameters", "device")
    assert source.count(entry) == 1
    assert docstrings.written(cls, source.replace(entry + "\n\n", "")) == source


def test_an_entry_that_was_changed_by_hand_is_written_anew():
    cls = sk_hypersphere.HSC
    source = inspect.getsource(inspect.getmodule(cls))
    changed = source.replace("1 shows one progress bar", "1 shows a bar")
    assert changed != source
    assert docstrings.written(cls, changed) == source


@pytest.mark.parametrize(
    ("default", "text"),
    [(5e-5, "5e-5"), ("auto", '"auto"'), (None, "None"), (128, "128"), (1e-6, "1e-6")],
)
def test_defaults_are_written_as_python_reads_them(default, text):
    parameter = inspect.Parameter("p", inspect.Parameter.KEYWORD_ONLY, default=default)
    assert docstrings.default_of(parameter) == f"default={text}"
