"""Write the shared texts into the docstrings of the estimators.

``python -m tools.docstrings`` rewrites the files; with ``--check`` it names those that
differ and changes nothing, with ``--count`` it prints the lines of each file that are
generated, and those that are the author's own.
"""

import argparse
import ast
import inspect
import re
import textwrap
from pathlib import Path

import sk_hypersphere
from tools.parameter_texts import ATTRIBUTES, OWN, PARAMETERS, WORDS

SECTIONS = {"Parameters": PARAMETERS, "Attributes": ATTRIBUTES}
INDENT = " " * 8
ENTRY = re.compile(r"\n\n(?=    [*\w, ]+ : )")


def default_of(parameter):
    """The default of a parameter as a docstring has it: ``default=5e-5``."""
    text = repr(parameter.default).replace("'", '"')
    return "default=" + re.sub(r"e-0(\d)", r"e-\1", text)


def entry_text(cls, section, name):
    """The entry of a parameter or attribute of an estimator, as lines of a file."""
    kind, text = SECTIONS[section][name]
    words = WORDS[cls.__name__]
    head = f"    {name} : {kind.format_map(words)}"
    if section == "Parameters":
        head += ", " + default_of(inspect.signature(cls).parameters[name])
    body = textwrap.fill(
        text.format_map(words),
        width=88,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{head}\n{body}"


def shared_names(cls, section):
    """Names of the entries of a section that have one source."""
    return SECTIONS[section].keys() - OWN.get(cls.__name__, set())


def written_section(cls, section, body):
    """A section of the docstring of an estimator with the shared entries in it.

    Parameters that are not described yet come in the order of the signature.
    """
    entries = {}
    for entry in ENTRY.split(body.strip("\n")):
        entries[entry.partition(" : ")[0].strip()] = entry
    shared = shared_names(cls, section)
    if section == "Parameters":
        names = [*inspect.signature(cls).parameters]
        entries = {n: entries.get(n) for n in names if n in entries or n in shared}
    for name in entries:
        if name in shared:
            entries[name] = entry_text(cls, section, name)
    return "\n\n".join(entries.values())


def split_sections(docstring, section):
    """The text before the entries of a section, the entries, and the text behind."""
    match = re.search(
        rf"(.*\n    {section}\n    -+\n)(.*?)(\n\n    [A-Z][\w ]+\n    ---.*|\n    )\Z",
        docstring,
        re.DOTALL,
    )
    return match.groups() if match else None


def written(cls, source):
    """The source of a file with the shared texts of one of its classes."""
    docstring = class_docstring(cls, source)
    new = docstring
    for section in SECTIONS:
        found = split_sections(new, section)
        if found:
            before, body, behind = found
            new = before + written_section(cls, section, body) + behind
    return source.replace(docstring, new)


def class_docstring(cls, source):
    """The docstring of a class, as it stands in the source."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            text = ast.get_source_segment(source, node.body[0].value)
            return text[text.index('"""') + 3 : -3]
    raise ValueError(f"{cls.__name__} must be defined in the file, but it is not.")


def estimators():
    """The classes whose docstrings have shared texts, and their files."""
    for name in WORDS:
        cls = getattr(sk_hypersphere, name)
        yield cls, Path(inspect.getsourcefile(cls))


def count(cls, source):
    """Lines of a file: all, those generated, and those of code without docstrings."""
    docstring = class_docstring(cls, source)
    generated = 0
    for section in SECTIONS:
        found = split_sections(docstring, section)
        if found:
            for entry in ENTRY.split(found[1].strip("\n")):
                if entry.partition(" : ")[0].strip() in shared_names(cls, section):
                    generated += entry.count("\n") + 2  # with the empty line behind
    documentation = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None:
                documentation += first.end_lineno - first.lineno + 1
    lines = source.splitlines()
    comments = sum(line.strip().startswith("#") for line in lines)
    code = sum(bool(line.strip()) for line in lines) - comments
    empty = sum(
        not line.strip()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and ast.get_docstring(node, clean=False) is not None
        for line in lines[node.body[0].lineno - 1 : node.body[0].end_lineno]
    )
    return len(lines), generated, code - documentation + empty


def main(arguments=None):
    """Rewrite, check or count; return the names of the files that differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--count", action="store_true", help="count lines")
    options = parser.parse_args(arguments)
    differing = []
    for cls, path in estimators():
        source = path.read_text()
        if options.count:
            total, generated, code = count(cls, source)
            own = total - generated
            print(f"{cls.__name__:22} {total:4} {generated:4} {own:4} {code:4}")
            continue
        new = written(cls, source)
        if new != source:
            differing.append(path.name)
            if not options.check:
                path.write_text(new)
    return differing


if __name__ == "__main__":
    differing_files = main()
    if differing_files:
        print("rewritten or to be rewritten:", ", ".join(differing_files))
