"""The benchmarks package: that it works, not how fast. No test here looks at a time."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from deeplite import models

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    compare,
    judge,
    machine,
    networks,
    plots,
    record,
    report,
    runner,
    suites,
    timing,
)  # fmt: skip
from benchmarks.__main__ import main  # noqa: E402
from benchmarks.library import Library  # noqa: E402
from benchmarks.work import Options  # noqa: E402

WITH_WORKS = [name for name in suites.NAMES if hasattr(suites.load(name), "works")]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Peaks of a moment, and the thread counts as they were."""
    import torch

    libraries = [Library("deeplite"), Library("torch")]
    before = [lib.module.get_num_threads() for lib in libraries]
    monkeypatch.setattr(machine, "FMA_STEPS", 1000)
    monkeypatch.setattr(machine, "COPY_BYTES", 1 << 16)
    yield
    for lib, count in zip(libraries, before, strict=True):
        lib.set_threads(count)
    assert torch.get_num_threads() == before[1]


def a_row(work: str = "w", threads: int = 1, ours: float = 1.0, other: float = 2.0, **more):
    sides = {"deeplite": record.number(ours), "torch": record.number(other)}
    ratio = record.number(ours / other)
    return record.row(work, "group", threads, sides, peer="torch", ratio=ratio, **more)


def a_document(*rows, suite: str = "gemm"):
    facts = machine.facts("torch")
    found = record.document(suite, facts)
    return {**found, "peaks": {"1": {"fma": 1e11, "copy": 2e10}}, "rows": list(rows)}


def test_imports_without_torch():
    modules = [p.relative_to(ROOT).with_suffix("") for p in (ROOT / "benchmarks").rglob("*.py")]
    names = [".".join(m.parts) for m in modules if m.name not in {"__init__", "__main__"}]
    code = (
        "import sys, importlib\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    package = str(Path(sys.modules["deeplite"].__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": package, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("suite", WITH_WORKS)
def test_tables_are_well_formed(suite):
    works = suites.load(suite).works(Options())
    assert works
    names = [w.name for w in works]
    assert len(set(names)) == len(names)
    for work in works:
        assert work.name == work.name.strip() and work.name and work.group, work
        assert "\n" not in work.name and "|" not in work.name
        assert work.flops is None or work.flops > 0
        assert work.traffic is None or work.traffic > 0
        assert work.terms >= 0 and work.slack >= 1


@pytest.mark.parametrize(
    ("suite", "pattern"),
    [
        ("gemm", "square-32"),
        ("conv", "lenet5 conv3, batch 1,"),
        ("elementwise", "relu 1k"),
        ("memory", "random: rand 1k"),
        ("overhead", "without gradient: x.view|small: relu"),
        ("train", "LeNet-5, batch 1$"),
        ("models", "LeNet-5, batch 1$"),
        ("threads", "gemm 128"),
        ("neighbour", "LeNet"),
        ("data", "crop, flip, to floats, (array|tensor)$"),
        ("first", "4 elements, no gradient"),
    ],
)
def test_a_quick_run_writes_a_valid_record(suite, pattern, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["run", suite, "--quick", "--filter", pattern, "--out", str(out)]) == 0
    found = record.load(out)
    assert found["suite"] == suite and found["rows"]
    assert found["machine"]["instruction set"] and set(found["peaks"]) == {"1", "2"}
    for row in found["rows"]:
        assert row["ratio"]["median"] > 0 and row["rounds"] >= 2, row
        assert next(iter(row["sides"].values()))["median"] > 0
        assert row["check"] is None or row["check"]["ok"]
    assert "geometric mean" in capsys.readouterr().out


@pytest.mark.parametrize("suite", ["models", "train"])
def test_every_family_of_models_is_measured(suite):
    families = {models.info(name).family for name in models.list_models()}
    works = suites.load(suite).works(Options())
    titles = {networks.title(name): name for name in networks.available()}
    measured = {titles[w.group] for w in works} - {"mlp"}
    assert {models.info(name).family for name in measured} == families
    works = suites.load(suite).works(Options(pattern="vgg11|resnet20_cifar", batches=(2,)))
    assert {"vgg11, batch 2", "resnet20_cifar, batch 2"} <= {w.name for w in works}


def test_without_a_peer(tmp_path):
    out = tmp_path / "out.json"
    assert main(["run", "gemm", "--vs", "none", "--quick", "--filter", "square-32$", "--threads",
                 "1", "--out", str(out)]) == 0  # fmt: skip
    (row,) = record.load(out)["rows"]
    assert row["peer"] is None and row["ratio"] is None and list(row["sides"]) == ["deeplite"]


def test_pieces_are_added_up(tmp_path):
    out = tmp_path / "out.json"
    quick = ["run", "gemm", "--quick", "--threads", "1", "--out", str(out), "--filter"]
    assert main([*quick, "square-32$"]) == 0
    assert main([*quick, "square-48$", "--append"]) == 0
    assert main([*quick, "square-32$", "--append"]) == 0
    assert [r["work"] for r in record.load(out)["rows"]] == ["square-32", "square-48"]
    verdict = {"errors": {"deeplite": 0.0}, "bound": 1.0, "ok": True}
    merged = record.merge(a_document(a_row(check=verdict)), a_document(a_row(threads=2)))
    assert [r["check"] for r in merged["rows"]] == [verdict, verdict]
    with pytest.raises(ValueError, match="'conv'.*'gemm'"):
        record.merge(a_document(a_row(), suite="gemm"), a_document(a_row(), suite="conv"))


def test_a_wrong_result_is_told(monkeypatch, tmp_path, capsys):
    import torch

    right = torch.mm
    monkeypatch.setattr(Library("deeplite").module, "mm", lambda a, b: a @ b + 1e-3)
    arguments = ["run", "gemm", "--quick", "--threads", "1", "--filter", "square-32$"]
    assert main(arguments) == 1
    assert "WRONG" in capsys.readouterr().out
    assert torch.mm is right


def test_sides_take_turns():
    order = []
    sides = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    found = timing.take_turns(sides, quick=True)
    assert len(found.rounds["a"]) == len(found.rounds["b"]) == 3
    runs = [k for k, previous in zip(order, [None, *order]) if k != previous]
    assert "".join(runs) == "ab" * (len(runs) // 2) and len(runs) >= 8  # warm-up, three rounds


def test_a_side_waits_for_spinning_threads():
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    spinner = threading.Thread(target=spin)
    spinner.start()
    threading.Timer(0.05, stop.set).start()
    timing.wait_until_idle(longest=30)
    assert stop.is_set()
    spinner.join()


def test_rounds_stop_when_the_ratio_has_settled():
    steady = {"a": [1.0] * 9, "b": [2.0] * 9}
    wild = {"a": [1.0, 4.0] * 5, "b": [2.0] * 10}
    assert timing.settled(steady, ["a", "b"])
    assert not timing.settled(wild, ["a", "b"])
    assert timing.Timing(wild).ratios("a", "b")[:2] == [0.5, 2.0]


def test_row_compares_with_the_fastest_peer():
    rounds = {"deeplite": [1.0, 1.0], "torch": [4.0, 4.0], "torch channels_last": [2.0, 2.0]}
    row = runner.row_of("w", "g", 1, timing.Timing(rounds))
    assert row["peer"] == "torch channels_last" and row["ratio"]["median"] == 0.5


def test_judge():
    exact = [np.array([1.0, 2.0, np.inf])]
    near = [np.array([1.0, 2.0 + 1e-6, np.inf], np.float32)]
    far = [np.array([1.0, 2.1, np.inf], np.float32)]
    finite = [np.array([1.0, 2.0, 3.0], np.float32)]
    assert judge.verdict({"deeplite": near, "torch": near}, exact, 1)["ok"]
    assert not judge.verdict({"deeplite": far, "torch": near}, exact, 1)["ok"]
    assert judge.verdict({"deeplite": far, "torch": far}, exact, 1)["ok"]  # no worse than the peer
    assert not judge.verdict({"deeplite": finite, "torch": near}, exact, 1)["ok"]
    with pytest.raises(ValueError, match="shape"):
        judge.error_of([np.zeros(2)], [np.zeros(3)])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.pop("peaks"), "expected an object with the keys"),
        (lambda d: d.update(schema=2), "schema 2"),
        (lambda d: d["rows"][0].pop("flops"), "keys differ by .*flops"),
        (lambda d: d["rows"][0].update(threads="1"), "threads is a str"),
        (lambda d: d["rows"][0].update(peer="jax"), "peer 'jax'"),
        (lambda d: d["rows"][0]["ratio"].update(median=float("nan")), "finite"),
        (lambda d: d["rows"].append(copy.deepcopy(d["rows"][0])), "twice"),
    ],
)
def test_a_spoilt_record_is_refused(spoil, message, tmp_path):
    found = a_document(a_row())
    record.check(found)
    spoil(found)
    with pytest.raises(ValueError, match=message):
        record.save(found, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_report(tmp_path):
    many = [a_row(f"w{i}", 1 + i % 2, 1.0 + i, 40.0, flops=1e9) for i in range(60)]
    for suite, rows in (("gemm", many), ("overhead", many[:5])):
        record.save(a_document(*rows, suite=suite), tmp_path / f"2026-01-01-{suite}.json")
    files = {s: tmp_path / f"2026-01-01-{s}.json" for s in ("gemm", "overhead")}
    page = report.write(tmp_path / "docs", files).read_text()
    assert "## Machine" in page and "100 GFLOP/s" in page
    # gemm has too many rows for a full table: a summary, and the slowest
    gemm, overhead = page.split("## gemm")[1].split("## overhead")
    assert "| group | 1 thread | 30 |" in gemm and "w59" in gemm and "w10" not in gemm
    assert all(f"| w{i} |" in overhead for i in range(5))
    image = (tmp_path / "docs" / "images" / "benchmarks-gemm.svg").read_text()
    assert image.startswith("<svg") and image.count("<circle") == 60 + 2
    for line in page.splitlines():
        if line.startswith("!["):
            assert (tmp_path / "docs" / line.split("](")[1].rstrip(")")).is_file()


def test_plot_escapes_and_bounds():
    image = plots.strips({"a < b": {"1 thread": [0.01, 30.0]}}, "ratio & more")
    assert "a &lt; b" in image and "ratio &amp; more" in image
    positions = [float(p.split('"')[0]) for p in image.split('cx="')[1:]]
    assert all(0 <= x <= plots.WIDTH for x in positions)


def test_compare(tmp_path, capsys):
    before = a_document(a_row("same"), a_row("slower", ours=1.0), a_row("gone"))
    after = a_document(a_row("slower", ours=1.5), a_row("same"), a_row("new"))
    for name, found in (("a", before), ("b", after)):
        record.save(found, tmp_path / f"{name}.json")
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| slower | 1 |") and "| 1.50 |" in lines[2]
    assert "over 2 rows: 1.225" in "\n".join(lines) and "only before: 1 rows" in lines[-1]
    with pytest.raises(ValueError, match="suites differ"):
        compare.table(before, {**after, "suite": "conv"})


def test_committed_results_are_valid():
    for path in record.RESULTS.glob("*.json"):
        found = record.load(path)
        assert path.stem == f"{found['date']}-{found['suite']}"
        assert not set(json.dumps(found["machine"])) & {"\n"}


def test_peak_is_measured_where_a_compiler_is():
    if machine.peak_library() is None:
        pytest.skip("no C compiler")
    found = machine.peaks(1, rounds=1)
    assert found["fma"] > 0 and found["copy"] > 0
