"""What the documentation shows runs and is true: docstring examples, README, examples, tables."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import deeplite
import numpy as np
import pytest
from deeplite import _docs

ROOT = Path(__file__).resolve().parent.parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = ["deeplite"] + sorted(
    m.name
    for m in pkgutil.walk_packages(deeplite.__path__, "deeplite.")
    if not m.name.endswith(("._C", "__main__"))
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)  # examples may write files
    deeplite.manual_seed(0)
    names = {  # what a reader has imported
        "deeplite": deeplite,
        "dl": deeplite,
        "nn": deeplite.nn,
        "F": deeplite.nn.functional,
        "optim": deeplite.optim,
        "data": deeplite.data,
    }
    results = doctest.testmod(module, optionflags=FLAGS, report=False, extraglobs=names)
    assert results.failed == 0, f"{results.failed} examples of {name} fail (output above)"


def native_functions() -> dict[str, object]:
    """What `deeplite`, its linalg and its Tensor offer that is implemented natively, by its own
    name (aliases have that of the original)."""
    places = (deeplite, deeplite.linalg, deeplite.Tensor)
    kind = type(deeplite.add)
    found = [getattr(place, name) for place in places for name in dir(place) if name[0] != "_"]
    return {f.__name__: f for f in found if isinstance(f, kind)}


NATIVE = native_functions()


@pytest.mark.parametrize("name", sorted(NATIVE))
def test_native_functions_are_described(name: str) -> None:
    documentation = NATIVE[name].__doc__ or ""
    names = {"deeplite": deeplite, "dl": deeplite, "np": np}
    test = doctest.DocTestParser().get_doctest(documentation, names, name, None, None)
    assert test.examples, "no example"
    sentence = documentation.split("\n\n")[1]
    assert sentence.endswith((".", ":")) or "\n" in sentence, sentence
    report: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not report, "".join(report)


def test_every_text_is_of_a_function() -> None:
    described = [
        name
        for family in _docs.FAMILIES
        for name in importlib.import_module(f"deeplite._docs.{family}").DOCS
    ]
    assert len(described) == len(set(described))
    others = {"register_hook", "register_post_accumulate_grad_hook", "get_rng_state"}
    assert set(described) - set(NATIVE) <= others


def test_there_are_examples() -> None:
    found = sum(
        len(test.examples)
        for name in MODULES
        for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    )
    assert found > 100, found


def python(*arguments: str, cwd: Path, timeout: float = 300) -> str:
    package = str(Path(deeplite.__file__).resolve().parent.parent)
    path = os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


def test_readme_code_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert blocks
    for block in blocks:
        assert len(block.strip().splitlines()) <= 15
        out = python("-c", block, cwd=tmp_path)
        shown = re.findall(r"# prints (.*)", block)
        for text in shown:
            assert text in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["digits.py", "--epochs", "2"], r"epoch 2: .*test (9[0-9]|100)\.\d+ %"),
        (["gradients.py"], r"minimum at 9/4 +2\.25[\s\S]*length of \(3, 4\) +5\.0"),
    ],
)
def test_examples_run(arguments: list[str], expected: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    out = python(str(ROOT / "examples" / arguments[0]), *arguments[1:], cwd=tmp_path)
    assert re.search(expected, out), out


def test_every_example_is_run() -> None:
    here = {"digits.py", "gradients.py"}
    elsewhere = {"classify.py", "depth.py", "transfer.py"}  # test_examples.py
    assert {p.name for p in (ROOT / "examples").glob("*.py")} == here | elsewhere


def test_conformance_page_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "conformance.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
