#!/usr/bin/env python3
"""Writes docs/models.md: all architectures that `deeplite.models` can build, from its registry.

tools/models_page.py            write it
tools/models_page.py --check    exit with 1 when the committed page is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "models.md"

HEADER = """\
# Models

Written by `tools/models_page.py` from the registry of `deeplite.models`. Every architecture is a
function of that name (`models.resnet50(num_classes=10)`) and can be built by name
(`models.build("resnet50", num_classes=10)`); `models.list_models(family="resnet")` lists a family.
What each accepts stands with its class; `deeplite.summary(model, (3, 224, 224))` shows it layer by
layer.

Parameters and multiply-adds (of convolutions and linear layers, for one image of the given size)
are those of the defaults, auxiliary classifiers included in the parameters. `tests/models` counts
them anew, and compares outputs, losses and all gradients with torch, and keys, shapes, scores and
initial values with torchvision where it has the model.
"""


def page() -> str:
    from deeplite import models

    about = [models.info(name) for name in models.list_models()]
    parts = [
        HEADER,
        f"\n{len(about)} architectures in {len({m.family for m in about})} families.\n",
    ]
    for family in sorted({m.family for m in about}):
        members = sorted((m for m in about if m.family == family), key=lambda m: m.parameters)
        parts.append(f"\n## {family}\n\n")
        papers = list(dict.fromkeys(" ".join(m.paper.split()) for m in members))
        several = len(papers) > 1
        for number, paper in enumerate(papers, 1):
            parts.append(f"{number}. {paper}\n" if several else f"{paper}\n")
        parts.append(f"\n| name | parameters | multiply-adds | image |{' paper |' * several}\n")
        parts.append(f"|---|--:|--:|---|{'--:|' * several}\n")
        for m in members:
            size = " x ".join(map(str, m.input_size))
            row = f"| `{m.name}` | {m.parameters:,} | {m.multiply_adds:,} | {size} |"
            which = papers.index(" ".join(m.paper.split())) + 1
            parts.append(row + (f" {which} |\n" if several else "\n"))
    return "".join(parts)


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/models.md is out of date: run tools/models_page.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
