"""Side-by-side measurements of deeplite and its peers, in one process and on the same data.

    python -m benchmarks list [SUITE]
    python -m benchmarks run SUITE --vs torch [--threads 1,2] [--filter RE] [--quick]
    python -m benchmarks compare OLD.json NEW.json
    python -m benchmarks report

A suite is a module of `benchmarks.suites`: it yields pieces of work (`benchmarks.work.Work`), each
written once over a `benchmarks.library.Library`. `benchmarks.timing` lets the sides take turns,
`benchmarks.judge` compares their results with float64, `benchmarks.record` writes what was found
with facts about the machine, and `benchmarks.report` makes docs/benchmarks.md from the newest
records.

Nothing here imports torch before a run asks for it, and nothing of it is part of the wheel.
"""
