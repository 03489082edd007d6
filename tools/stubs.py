#!/usr/bin/env python3
"""Writes python/deeplite/_C.pyi from the built module, or checks that the committed one matches.

    tools/stubs.py            write it
    tools/stubs.py --check    exit with 1 and show the difference when it is out of date

Functions bound through bindings/function.h describe themselves (`_C._signatures()`); what pybind11
binds directly is read from its docstrings; classes and constants are listed by looking at them.
"""

from __future__ import annotations

import difflib
import inspect
import keyword
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from deeplite import _C

STUB = Path(__file__).resolve().parent.parent / "python" / "deeplite" / "_C.pyi"

HEADER = """\
# Written by tools/stubs.py (make stubs). Do not edit.
# mypy: disable-error-code="overload-overlap, overload-cannot-match, misc, override"
# mypy: disable-error-code="no-untyped-def, assignment"
from builtins import bool as _bool, bytes as _bytes, float as _float, int as _int, str as _str
from builtins import dict as _dict, list as _list, tuple as _tuple, object as _object
from builtins import complex as _complex, set as _set, type as _type
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, overload

Number: TypeAlias = _int | _float | _bool
"""

# Inside class Tensor (which has methods float, int, ...) and beside functions of such names, the
# types are reached under private names.
PRIVATE = {
    **{
        n: f"_{n}"
        for n in "bool bytes float int str dict list tuple object complex set type".split()
    },
    **{n: f"_{n}" for n in ("dtype", "device", "Size")},
}
ALIASES = ("dtype", "device", "Size", "layout", "memory_format")

OPERAND = "Tensor | Number"
BINARY = (
    "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift eq ne lt le gt ge"
).split()
DUNDERS = {
    **{f"__{n}__": f"(self, other: {OPERAND}) -> Tensor" for n in BINARY},
    **{f"__r{n}__": f"(self, other: {OPERAND}) -> Tensor" for n in BINARY},
    **{f"__i{n}__": f"(self, other: {OPERAND}) -> Tensor" for n in BINARY},
    **{f"__{n}__": "(self) -> Tensor" for n in ("neg", "pos", "abs", "invert")},
    "__eq__": "(self, other: object) -> Any",
    "__ne__": "(self, other: object) -> Any",
    "__bool__": "(self) -> bool",
    "__int__": "(self) -> int",
    "__float__": "(self) -> float",
    "__index__": "(self) -> int",
    "__len__": "(self) -> int",
    "__iter__": "(self) -> Iterator[Tensor]",
    "__hash__": "(self) -> int",
    "__repr__": "(self) -> str",
    "__contains__": "(self, item: object) -> bool",
    "__getitem__": "(self, index: Any) -> Tensor",
    "__setitem__": "(self, index: Any, value: Any) -> None",
    "__array__": "(self, dtype: Any = None, copy: bool | None = None) -> Any",
    "__dlpack__": "(self, **kwargs: Any) -> Any",
    "__dlpack_device__": "(self) -> tuple[int, int]",
    "__deepcopy__": "(self, memo: Any) -> Tensor",
    "__reduce_ex__": "(self, protocol: Any) -> Any",
    "__format__": "(self, spec: str) -> str",
    "__enter__": "(self) -> Any",
    "__exit__": "(self, *exc: Any) -> None",
    "__call__": "(self, *args: Any, **kwargs: Any) -> Any",
    "__new__": "(cls, *args: Any, **kwargs: Any) -> Any",
    "__init__": "(self, *args: Any, **kwargs: Any) -> None",
}
ANY_CALL = "(*args: Any, **kwargs: Any) -> Any"
Signature = tuple[str, list[tuple[str, str, str | None, str]]]  # result, parameters


def private(text: str) -> str:
    """A type as the stub has to spell it."""
    text = re.sub(r"\b(deeplite\._C|typing|collections\.abc)\.", "", text)
    text = re.sub(r"\bSupportsInt( \| SupportsIndex)?\b", "int", text)
    text = re.sub(r"\bSupportsFloat( \| SupportsIndex)?\b", "float", text)
    text = re.sub(r"\bnumpy\.[\w.]+(\[[^\]]*\])?", "Any", text)
    return re.sub(r"(?<![\w.])(\w+)(?!\w)", lambda m: PRIVATE.get(m[1], m[1]), text)


def default_of(shown: str) -> str:
    literal = re.fullmatch(r"-?\d+(\.\d*)?(e-?\d+)?|True|False|None|'[^']*'|\"[^\"]*\"|\(\)", shown)
    return shown if literal else "..."


def parameters(params: Iterable[tuple[str, str, str | None, str]]) -> list[str]:
    """The parameter list of one overload, without self."""
    out: list[str] = []
    optional = star = False
    for name, kind_type, default, kind in params:
        name = f"{name}_" if keyword.iskeyword(name) else name
        text = f"{name}: {private(kind_type)}"
        if default == "None" and "None" not in kind_type and kind_type != "Any":
            text += " | None"
        if kind == "varargs":
            out.append(f"*{text}")
            star = True
            continue
        if kind == "keyword" and not star:
            out.append("*")
            star = True
        if default is not None:
            text += f" = {default_of(default)}"
            optional = True
        elif optional and not star:
            text += " = ..."  # required in truth, but Python has no syntax for that
        out.append(text)
    return out


def definitions(name: str, heads: list[str], indent: str, static: bool = False) -> Iterator[str]:
    """`def` lines for one function, with @overload where there are several."""
    heads = list(dict.fromkeys(heads))
    for head in heads:
        if len(heads) > 1:
            yield f"{indent}@overload"
        if static:
            yield f"{indent}@staticmethod"
        yield f"{indent}def {name}{head}: ..."


def own_heads(overloads: list[Signature], method: bool) -> list[str]:
    heads = []
    for result, params in overloads:
        shown = parameters(params[1:] if method else params)
        heads.append(f"({', '.join(['self', *shown] if method else shown)}) -> {private(result)}")
    return heads


def pybind_heads(f: Any, method: bool) -> list[str]:
    """What pybind11 wrote into the docstring: "name(x: int, y: int = 1) -> int" per overload."""
    name = getattr(f, "__name__", "")
    lines = re.findall(rf"^(?:\d+\. )?{re.escape(name)}(\(.*\)) -> (.+)$", f.__doc__ or "", re.M)
    heads = []
    for args, result in lines:
        args = re.sub(r"= <[^>]*>", "= ...", args)
        if method:
            args = re.sub(r"^\(self: [\w.]+", "(self", args)
        heads.append(f"{private(args)} -> {private(result)}")
    if heads:
        return heads
    return [ANY_CALL.replace("(", "(self, ", 1) if method else ANY_CALL]


KNOWN = {"Tensor", "Any", "Sequence", "Callable", "Iterator", "None", "Number", *PRIVATE}


def python_heads(f: Any) -> list[str]:
    """A function written in Python and put into a class of the module (Tensor's methods)."""

    def known(annotation: Any, prefix: str) -> str:
        text = annotation if isinstance(annotation, str) else ""
        words = set(re.findall(r"\w+", text))
        return f"{prefix}{private(text)}" if words and words <= KNOWN else f"{prefix}Any"

    signature = inspect.signature(f)
    shown, star = [], False
    for i, p in enumerate(signature.parameters.values()):
        if p.kind is p.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        if p.kind is p.VAR_POSITIONAL:
            star = True
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        text = f"{stars}{p.name}" if i == 0 else f"{stars}{p.name}{known(p.annotation, ': ')}"
        if p.default is not p.empty:
            text += f" = {default_of(repr(p.default))}"
        shown.append(text)
    return [f"({', '.join(shown)}){known(signature.return_annotation, ' -> ')}"]


def class_stub(
    cls: type, bound: dict[str, list[Signature]], properties: dict[str, str]
) -> list[str]:
    bases = [PRIVATE.get(b.__name__, b.__name__) for b in cls.__bases__]
    bases = ["_tuple[_int, ...]" if b == "_tuple" else b for b in bases]
    bases = [b for b in bases if b not in ("_object", "pybind11_object", "enum")]
    lines = [f"class {cls.__name__}({', '.join(bases)}):" if bases else f"class {cls.__name__}:"]
    for name, value in sorted(vars(cls).items()):
        if name in bound:
            lines += definitions(name, own_heads(bound[name], method=True), "    ")
        elif name in properties:
            lines.append(f"    {name}: {private(properties[name])}")
        elif name in DUNDERS:
            if cls.__name__ != "Tensor" and "Tensor" in DUNDERS[name]:
                continue
            if not issubclass(cls, BaseException):
                lines += definitions(name, [private(DUNDERS[name])], "    ")
        elif name.startswith("__") or (name.startswith("_") and name == "_pybind11_conduit_v1_"):
            continue
        elif isinstance(value, (staticmethod, classmethod)):
            lines += definitions(name, pybind_heads(value.__func__, False), "    ", static=True)
        elif inspect.isfunction(value):
            lines += definitions(name, python_heads(value), "    ")
        elif callable(value):
            lines += definitions(name, pybind_heads(value, method=True), "    ")
        else:
            lines.append(f"    {name}: Any")
    return lines if len(lines) > 1 else [lines[0] + " ..."]


def namespace_stub(name: str, bound: dict[str, list[Signature]], module: Any) -> list[str]:
    """A submodule, shown as a class of static functions (a stub file has no nested modules)."""
    lines = [f"class {name}:"]
    for member, value in sorted(vars(module).items()):
        if member in bound:
            lines += definitions(
                member, own_heads(bound[member], method=False), "    ", static=True
            )
        elif callable(value) and not member.startswith("__"):
            lines += definitions(member, pybind_heads(value, False), "    ", static=True)
    return lines if len(lines) > 1 else [lines[0] + " ..."]


def value_type(value: Any) -> str:
    if value is None or isinstance(value, (dict, list, tuple)):
        return "Any"
    return private(type(value).__name__)


def generate() -> str:
    bound: dict[str, dict[str, list[Signature]]] = {}
    for place, name, overloads in _C._signatures():
        bound.setdefault(place, {})[name] = overloads
    properties = dict(_C._properties())

    aliases, constants, functions, classes = [], [], [], []
    for name, value in sorted(vars(_C).items()):
        if name.startswith("__") and name != "__version__":
            continue
        if isinstance(value, type):
            if value.__module__ == "builtins":
                continue
            mine = (bound.get("method", {}), properties) if name == "Tensor" else ({}, {})
            if name != value.__name__:
                aliases.append(f"{name} = {value.__name__}")
            else:
                classes += ["", *class_stub(value, *mine)]
                if name in ALIASES:
                    aliases.append(f"_{name} = {name}")
        elif name in bound.get("function", {}):
            functions += definitions(name, own_heads(bound["function"][name], False), "")
        elif isinstance(value, type(sys)):
            classes += ["", *namespace_stub(name, bound.get(name.strip("_"), {}), value)]
        elif callable(value) and hasattr(value, "__name__"):
            functions += definitions(name, pybind_heads(value, method=False), "")
        else:
            constants.append(f"{name}: {value_type(value)}")
    return "\n".join([HEADER, *constants, *classes, "", *aliases, "", *functions]) + "\n"


def main() -> int:
    new = generate()
    if "--check" not in sys.argv[1:]:
        STUB.write_text(new)
        print(f"wrote {STUB.name}: {new.count('def ')} functions and methods")
        return 0
    old = STUB.read_text() if STUB.exists() else ""
    if old == new:
        print(f"{STUB.name}: matches the module, {new.count('def ')} functions and methods")
        return 0
    diff = list(
        difflib.unified_diff(old.splitlines(), new.splitlines(), "committed", "module", n=0)
    )
    print("\n".join(diff[:40]))
    print(f"{STUB.name} does not match the module: run `make stubs`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
