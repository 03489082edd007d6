"""A reader of pickles that runs nothing: plain data, and what a caller puts on its list.

A pickle is a program for a small stack machine, and Python's own machine calls whatever the program
names. This one knows the instructions that files of data use. A name that is not on the caller's
list ends the reading, before anything of it is imported or called; objects that are on the list
are made by the caller's functions, and state is only ever put into containers made here.

It is written against https://docs.python.org/3/library/pickletools.html, protocols 0 to 5.
"""

from __future__ import annotations

import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ForbiddenGlobal", "Global", "UnpicklingError", "loads"]


class UnpicklingError(pickle.UnpicklingError, RuntimeError):
    """The pickle is damaged, or asks for what a file of data does not need."""


class ForbiddenGlobal(UnpicklingError):
    """The pickle names a class or function that is not on the list."""


class Global:
    """A name on the list: what the pickle may refer to, call, or both.

    Args:
        make: called with the arguments when the pickle calls the name; None forbids calling.
        value: what a reference to the name becomes where it is data (a dtype, say).
        build: called with an object that ``make`` gave and the state that the pickle has for it.
    """

    def __init__(
        self,
        make: Callable[..., Any] | None = None,
        *,
        value: Any = None,
        build: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self.make, self.value, self.build = make, value, build


class _Reference:
    """A name of the list on the stack; becomes its value when it ends up in the data."""

    __slots__ = ("entry", "name")

    def __init__(self, name: str, entry: Global) -> None:
        self.name, self.entry = name, entry


class _Mark:
    pass


_MARK = _Mark()

# What files of plain data may contain besides the instructions' own types.
_PLAIN: dict[tuple[str, str], Global] = {
    ("collections", "OrderedDict"): Global(OrderedDict),
    ("collections", "Counter"): Global(Counter),
    ("builtins", "set"): Global(lambda items=(): set(items)),
    ("builtins", "frozenset"): Global(lambda items=(): frozenset(items)),
    ("builtins", "bytearray"): Global(lambda *a: bytearray(_text_bytes(*a))),
    ("builtins", "complex"): Global(lambda re=0.0, im=0.0: complex(float(re), float(im))),
    ("_codecs", "encode"): Global(lambda *a: _text_bytes(*a)),
}
_PYTHON2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


def _text_bytes(text: Any = b"", encoding: str = "latin1") -> bytes:
    """What _codecs.encode and bytearray are called with in pickles of protocol 2."""
    if isinstance(text, (bytes, bytearray)):
        return bytes(text)
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise UnpicklingError("bytes are written as text in latin1, not otherwise")
    return text.encode("latin1")


def loads(
    data: Any,
    names: Mapping[tuple[str, str], Global] | None = None,
    *,
    persistent_load: Callable[[Any], Any] | None = None,
    encoding: str = "latin1",
    start: int = 0,
    shown: str = "the pickle",
) -> tuple[Any, int]:
    """The object that a pickle describes, and the position behind it.

    Args:
        data: bytes, or anything with the buffer interface.
        names: what may be referred to beyond containers, by module and name.
        persistent_load: called with each persistent id; None refuses them.
        encoding: of the byte strings of Python 2; "bytes" keeps them as bytes.
        start: where in ``data`` the pickle begins.
        shown: what messages call the file.

    Raises:
        ForbiddenGlobal: for a name that is not on the list.
        UnpicklingError: for anything else that is wrong with the pickle.
    """
    machine = _Machine(memoryview(data), start, names or {}, persistent_load, encoding, shown)
    try:
        return machine.run(), machine.at
    except UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle may fail anywhere
        raise UnpicklingError(
            f"{shown} is damaged: {type(error).__name__}: {error} (byte {machine.at})"
        ) from None


class _Machine:
    def __init__(
        self,
        data: memoryview,
        start: int,
        names: Mapping[tuple[str, str], Global],
        persistent_load: Callable[[Any], Any] | None,
        encoding: str,
        shown: str,
    ) -> None:
        self.data, self.at = data, start
        self.names, self.persistent_load = names, persistent_load
        self.encoding, self.shown = encoding, shown
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0
        self.made: dict[int, tuple[Any, Global]] = {}  # id -> object (kept alive) and who made it

    def run(self) -> Any:
        codes = _CODES
        while True:
            code = self.take(1)[0]
            if code == 0x2E:  # STOP
                if len(self.stack) != 1:
                    raise UnpicklingError(f"{self.shown} is damaged: it ends with a full stack")
                return self.pop()
            step = codes.get(code)
            if step is None:
                raise UnpicklingError(
                    f"{self.shown} uses pickle instruction {bytes([code])!r}, which no file of "
                    "data needs"
                )
            step(self)

    # ---- reading
    def take(self, n: int) -> memoryview:
        if n < 0 or n > len(self.data) - self.at:
            raise UnpicklingError(f"{self.shown} is truncated: it ends in the middle of a pickle")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        limit = min(len(self.data), self.at + 65536)
        end = bytes(self.data[self.at : limit]).find(b"\n")
        if end < 0:
            raise UnpicklingError(f"{self.shown} is truncated: a line of its pickle has no end")
        text = bytes(self.take(end + 1))[:-1]
        return text.decode("latin1")

    def old_string(self, raw: bytes) -> Any:
        return raw if self.encoding == "bytes" else raw.decode(self.encoding)

    # ---- the stack
    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        """The top as data: a name that was referred to but not called becomes its value."""
        if not self.stack or self.stack[-1] is _MARK:
            raise UnpicklingError(f"{self.shown} is damaged: its pickle takes from an empty stack")
        return self.data_of(self.stack.pop())

    def data_of(self, value: Any) -> Any:
        if isinstance(value, _Reference):
            if value.entry.value is None:
                raise UnpicklingError(f"{self.shown} keeps the function {value.name} as data")
            return value.entry.value
        return value

    def top(self, kind: type | tuple[type, ...]) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise UnpicklingError(f"{self.shown} is damaged: its pickle fills what is no container")
        return self.stack[-1]

    def marked(self) -> list[Any]:
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                items = [self.data_of(v) for v in self.stack[i + 1 :]]
                del self.stack[i:]
                return items
        raise UnpicklingError(f"{self.shown} is damaged: its pickle lacks a mark")

    def fill(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise UnpicklingError(f"{self.shown} is damaged: a key of a dict without a value")
        target = self.top(dict)
        for key, value in zip(items[::2], items[1::2]):
            target[key] = value

    # ---- names and calls
    def refer(self, module: str, name: str) -> None:
        module = _PYTHON2.get(module, module)
        entry = self.names.get((module, name)) or _PLAIN.get((module, name))
        if entry is None:
            raise ForbiddenGlobal(
                f"{self.shown} asks for {module}.{name}, which is not among the names that files "
                "of data may use; nothing of it was run. If the file is yours, save a state_dict "
                "of tensors instead of whole objects."
            )
        self.push(_Reference(f"{module}.{name}", entry))

    def call(self, target: Any, arguments: Any) -> None:
        if not isinstance(target, _Reference) or target.entry.make is None:
            what = target.name if isinstance(target, _Reference) else type(target).__name__
            raise UnpicklingError(f"{self.shown} calls {what}, which is nothing to be called")
        if not isinstance(arguments, tuple):
            raise UnpicklingError(f"{self.shown} is damaged: a call without a tuple of arguments")
        made = target.entry.make(*arguments)
        if isinstance(made, (bytes, bytearray, set, frozenset, dict)):
            # A short program could copy one long string over and over.
            self.copied += len(made)
            if self.copied > 8 * len(self.data) + 65536:
                raise UnpicklingError(f"{self.shown} blows up when read; it is no file of data")
        self.made[id(made)] = (made, target.entry)
        self.push(made)

    def build(self) -> None:
        state = self.pop()
        obj = self.pop()
        made = self.made.get(id(obj))
        if made is not None and made[1].build is not None:
            new = made[1].build(obj, state)
            for key in [k for k, v in self.memo.items() if v is obj]:
                self.memo[key] = new
            self.push(new)
        elif isinstance(obj, (OrderedDict, Counter)):
            self.push(obj)  # attributes of a dict (torch's _metadata) are no data
        else:
            raise UnpicklingError(f"{self.shown} sets the state of a {type(obj).__name__}")

    # ---- steps that are more than a line
    def remember(self, key: int) -> None:
        if not self.stack or self.stack[-1] is _MARK:
            raise UnpicklingError(f"{self.shown} is damaged: nothing to remember")
        self.memo[key] = self.stack[-1]

    def recall(self, key: int) -> None:
        if key not in self.memo:
            raise UnpicklingError(f"{self.shown} is damaged: it recalls what was never remembered")
        self.push(self.memo[key])

    def integer_line(self) -> None:
        text = self.line()
        self.push({"00": False, "01": True}[text] if text in ("00", "01") else int(text))

    def quoted_line(self) -> None:
        text = self.line()
        if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
            raise UnpicklingError(f"{self.shown} is damaged: a string without quotes")
        raw = text[1:-1].encode("latin1").decode("unicode_escape").encode("latin1")
        self.push(self.old_string(raw))

    def long_of(self, n: int) -> None:
        self.push(int.from_bytes(self.take(n), "little", signed=True))

    def persistent(self, key: Any) -> None:
        if self.persistent_load is None:
            raise UnpicklingError(f"{self.shown} refers to an object outside of itself")
        self.push(self.persistent_load(key))

    def appends(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise UnpicklingError(f"{self.shown} is damaged: a name that is no text")
        self.refer(module, name)

    def global_lines(self) -> None:
        module = self.line()
        self.refer(module, self.line())

    def reduce(self) -> None:
        arguments = self.pop()
        self.call(self.stack.pop() if self.stack else None, arguments)

    def instance(self) -> None:  # INST: module and name in lines, arguments since the mark
        items = self.marked()
        self.global_lines()
        self.call(self.stack.pop(), tuple(items))

    def pop_mark(self) -> None:
        self.marked()

    def tuple_of(self, n: int) -> None:
        items = [self.pop() for _ in range(n)]
        self.push(tuple(reversed(items)))

    def dict_of(self) -> None:
        items = self.marked()
        self.push({})
        self.fill(items)

    def add_items(self) -> None:
        items = self.marked()
        self.top(set).update(items)

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.fill([key, value])

    def frame(self) -> None:
        self.number("<Q")  # frames only help streams

    def protocol(self) -> None:
        if (version := self.take(1)[0]) > 5:
            raise UnpicklingError(f"{self.shown} uses pickle protocol {version}; 0 to 5 are known")


def _text(form: str) -> Callable[[_Machine], None]:
    return lambda m: m.push(str(m.take(m.number(form)), "utf-8", "surrogatepass"))


def _bytes(form: str) -> Callable[[_Machine], None]:
    return lambda m: m.push(bytes(m.take(m.number(form))))


def _old(form: str) -> Callable[[_Machine], None]:
    return lambda m: m.push(m.old_string(bytes(m.take(m.number(form)))))


def _drop(m: _Machine) -> None:
    if not m.stack:
        raise UnpicklingError(f"{m.shown} is damaged: its pickle takes from an empty stack")
    m.stack.pop()


def _twice(m: _Machine) -> None:
    m.push(m.pop())
    m.push(m.stack[-1])


_STEPS: dict[str, Callable[[_Machine], None]] = {
    "\x80": _Machine.protocol,
    "\x95": _Machine.frame,
    "(": lambda m: m.push(_MARK),
    "0": _drop,
    "1": _Machine.pop_mark,
    "2": _twice,
    "N": lambda m: m.push(None),
    "\x88": lambda m: m.push(True),
    "\x89": lambda m: m.push(False),
    "I": _Machine.integer_line,
    "L": lambda m: m.push(int(m.line().rstrip("L"))),
    "F": lambda m: m.push(float(m.line())),
    "J": lambda m: m.push(m.number("<i")),
    "K": lambda m: m.push(m.number("<B")),
    "M": lambda m: m.push(m.number("<H")),
    "G": lambda m: m.push(m.number(">d")),
    "\x8a": lambda m: m.long_of(m.number("<B")),
    "\x8b": lambda m: m.long_of(m.number("<i")),
    "S": _Machine.quoted_line,
    "T": _old("<i"),
    "U": _old("<B"),
    "V": lambda m: m.push(m.line().encode("latin1").decode("raw_unicode_escape")),
    "X": _text("<I"),
    "\x8c": _text("<B"),
    "\x8d": _text("<Q"),
    "B": _bytes("<I"),
    "C": _bytes("<B"),
    "\x8e": _bytes("<Q"),
    "\x96": lambda m: m.push(bytearray(m.take(m.number("<Q")))),
    "]": lambda m: m.push([]),
    "}": lambda m: m.push({}),
    ")": lambda m: m.push(()),
    "\x8f": lambda m: m.push(set()),
    "a": lambda m: m.appends([m.pop()]),
    "e": lambda m: m.appends(m.marked()),
    "l": lambda m: m.push(m.marked()),
    "t": lambda m: m.push(tuple(m.marked())),
    "\x85": lambda m: m.tuple_of(1),
    "\x86": lambda m: m.tuple_of(2),
    "\x87": lambda m: m.tuple_of(3),
    "d": _Machine.dict_of,
    "s": _Machine.set_item,
    "u": lambda m: m.fill(m.marked()),
    "\x90": _Machine.add_items,
    "\x91": lambda m: m.push(frozenset(m.marked())),
    "p": lambda m: m.remember(int(m.line())),
    "q": lambda m: m.remember(m.number("<B")),
    "r": lambda m: m.remember(m.number("<I")),
    "\x94": lambda m: m.remember(len(m.memo)),
    "g": lambda m: m.recall(int(m.line())),
    "h": lambda m: m.recall(m.number("<B")),
    "j": lambda m: m.recall(m.number("<I")),
    "c": _Machine.global_lines,
    "\x93": _Machine.stack_global,
    "i": _Machine.instance,
    "R": _Machine.reduce,
    "\x81": _Machine.reduce,  # NEWOBJ: the class and its arguments
    "b": _Machine.build,
    "P": lambda m: m.persistent(m.line()),
    "Q": lambda m: m.persistent(m.pop()),
}  # fmt: skip
_CODES = {code.encode("latin1")[0]: step for code, step in _STEPS.items()}
