"""A table of a network's layers: shapes, parameters, multiply-adds, memory, receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deeplite import Tensor, nn, no_grad, zeros

__all__ = ["LayerSummary", "Summary", "summary"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
POOLS = (
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d,
)  # fmt: skip
ADAPTIVE = (
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
# What a value of a map sees, per dimension: how many pixels, and how far its neighbour's are.
Field = tuple[tuple[int, int], ...]


@dataclass
class LayerSummary:
    """One module of a network.

    Attributes:
        path: where it is, ``"layer4.0.conv1"``; "" is the network.
        kind: its class.
        depth: how deep it is nested.
        output_shape: of its last call; None if it was not called.
        calls: how often it was called.
        parameters: in it and below, each counted once.
        multiply_adds: of the convolutions and linear layers in it and below.
        activation_bytes: of the results of the innermost layers in it and below; what a layer
            changes in place counts once.
        receptive_field: how many pixels a value of its result depends on, per dimension; None
            where the result is no map.
        jump: how many pixels lie between neighbouring values of its result.
    """

    path: str
    kind: str
    depth: int
    parameters: int
    output_shape: tuple[int, ...] | None = None
    calls: int = 0
    multiply_adds: int = 0
    activation_bytes: int = 0
    receptive_field: tuple[int, ...] | None = None
    jump: tuple[int, ...] | None = None


@dataclass
class Summary:
    """What :func:`summary` finds; ``str()`` of it is a table, :meth:`to_dict` plain data."""

    input_shape: tuple[int, ...]
    layers: list[LayerSummary]
    trainable_parameters: int
    parameter_bytes: int

    @property
    def total(self) -> LayerSummary:
        """The row of the whole network."""
        return self.layers[0]

    @property
    def parameters(self) -> int:
        return self.total.parameters

    @property
    def multiply_adds(self) -> int:
        return self.total.multiply_adds

    @property
    def activation_bytes(self) -> int:
        return self.total.activation_bytes

    def __getitem__(self, path: str) -> LayerSummary:
        for layer in self.layers:
            if layer.path == path:
                return layer
        raise KeyError(path)

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists and numbers, for JSON say."""
        return asdict(self)

    def __str__(self) -> str:
        head = ("layer", "output", "parameters", "multiply-adds", "bytes", "field", "jump")
        lines: list[tuple[str, ...]] = [head]
        for x in self.layers:
            name = "  " * x.depth + (x.path.rpartition(".")[2] or "") + f" ({x.kind})"
            shape = "-" if x.output_shape is None else " x ".join(map(str, x.output_shape))
            numbers = (x.parameters, x.multiply_adds, x.activation_bytes)
            fields = [
                "-" if f is None else "x".join(map(str, f)) for f in (x.receptive_field, x.jump)
            ]
            name = name if x.depth else name.strip()
            lines.append((name, shape, *(f"{n:,}" for n in numbers), *fields))
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        table = [
            "  ".join(
                cell.ljust(w) if i < 2 else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(line, widths))
            ).rstrip()
            for line in lines
        ]
        rule = "-" * max(map(len, table))
        t = self.total
        end = (
            f"input {' x '.join(map(str, self.input_shape))}: {t.parameters:,} parameters "
            f"({self.trainable_parameters:,} trainable, {self.parameter_bytes:,} bytes), "
            f"{t.multiply_adds:,} multiply-adds, {t.activation_bytes:,} bytes of activations"
        )
        return "\n".join([table[0], rule, *table[1:], rule, end])


def summary(model: nn.Module, input_size: Sequence[int], batch_size: int = 1) -> Summary:
    """Runs ``model`` once on zeros, in eval mode, and tells what each of its layers does.

    The receptive field follows the usual recursion from layer to layer, ``r += (k - 1) * jump``
    and ``jump *= stride`` with k the (dilated) kernel; where branches meet, the largest counts.
    A global pooling is a kernel of the size of the map. The model is left as it was.

    Args:
        input_size: of one input, without the batch: ``(channels, height, width)``.

    Raises:
        ValueError: an empty or negative size. Whatever the model raises.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3))
        >>> found = deeplite.summary(net, (1, 12, 12))
        >>> found.parameters, found.multiply_adds
        (336, 6192)
        >>> found["3"].receptive_field, found["3"].jump
        ((8, 8), (2, 2))
    """
    shape = (batch_size, *input_size)
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(
            f"summary: expected sizes of an input such as (3, 224, 224), got {input_size}"
        )
    parameters = list(model.parameters())
    like = parameters[0] if parameters else zeros(())
    recorder = _Recorder(model)
    modes = {m: m.training for m in model.modules()}
    try:
        model.eval()
        with no_grad():
            image = zeros(shape, dtype=like.dtype, device=like.device)
            recorder.know(image, ((1, 1),) * (len(shape) - 2))
            model(image)
    finally:
        recorder.close()
        for m, mode in modes.items():
            m.training = mode
    return Summary(
        shape,
        recorder.rows,
        sum(p.numel() for p in parameters if p.requires_grad),
        sum(p.numel() * p.element_size() for p in parameters),
    )


class _Recorder:
    """The hooks on all modules, and what they have seen."""

    def __init__(self, model: nn.Module) -> None:
        self.rows: list[LayerSummary] = []
        self.handles = []
        self.fields: dict[int, Field] = {}  # of tensors, by id
        self.alive: list[Tensor] = []  # so that no id and no memory is used twice
        self.seen: set[int] = set()
        by_path: dict[str, LayerSummary] = {}
        for path, module in model.named_modules():
            depth = path.count(".") + 1 if path else 0
            count = sum(p.numel() for p in module.parameters())
            row = LayerSummary(path, type(module).__name__, depth, count)
            self.rows.append(row)
            by_path[path] = row
            parts = path.split(".") if path else []
            above = [by_path.get(".".join(parts[:i])) for i in range(len(parts) + 1)]
            self.handles.append(module.register_forward_hook(self._hook(row, above)))

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()

    def know(self, x: Tensor, field: Field) -> None:
        self.alive.append(x)
        self.fields[id(x)] = field

    def _hook(self, row: LayerSummary, holders: list[LayerSummary | None]) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            out = next((x for x in _flat(output) if isinstance(x, Tensor)), None)
            source = next((x for x in _flat(inputs) if isinstance(x, Tensor)), None)
            row.calls += 1
            if out is None:
                return
            row.output_shape = tuple(out.shape)
            leaf = not any(True for _ in module.children())
            macs = _multiply_adds(module, source, out)
            bytes_ = self._new_bytes(out) if leaf else 0
            for above in holders:  # the row itself and those that hold it
                if above is not None:
                    above.multiply_adds += macs
                    above.activation_bytes += bytes_
            if out.dim() < 3:
                return
            if id(out) not in self.fields or leaf:
                field = self._field_of(source if leaf else out)
                self.know(out, _step(module, source, field) if leaf else field)
            field = self.fields[id(out)]
            row.receptive_field = tuple(r for r, _ in field)
            row.jump = tuple(j for _, j in field)

        return hook

    def _new_bytes(self, out: Tensor) -> int:
        self.alive.append(out)
        where = out.data_ptr() or id(out)
        if where in self.seen:
            return 0
        self.seen.add(where)
        return out.numel() * out.element_size()

    def _field_of(self, x: Tensor | None) -> Field:
        """The field of a tensor; of one that came from no layer (a sum, a concatenation), the
        largest among the layers' results of the same size."""
        if x is None:
            return ()
        if id(x) in self.fields:
            return self.fields[id(x)]
        size = tuple(x.shape[2:])
        alike = [
            self.fields[id(t)]
            for t in self.alive
            if tuple(t.shape[2:]) == size and len(self.fields.get(id(t), ())) == len(size)
        ]
        if not alike:
            return ((1, 1),) * len(size)
        return tuple(max(along) for along in zip(*alike))


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [y for x in value for y in _flat(x)] if isinstance(value, (tuple, list)) else [value]


def _multiply_adds(module: Any, source: Any, out: Tensor) -> int:
    if isinstance(module, (*CONVOLUTIONS, nn.Linear)):
        return out.numel() * module.weight[0].numel()
    if isinstance(module, TRANSPOSED):
        return source.numel() * module.weight[0].numel()
    return 0


def _step(module: Any, source: Any, field: Field) -> Field:
    """The recursion through one layer."""
    n = len(field)

    def each(value: Any) -> tuple[int, ...]:
        return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n

    if isinstance(module, (*CONVOLUTIONS, *POOLS)):
        dilation = each(getattr(module, "dilation", 1))
        kernel = [(k - 1) * d + 1 for k, d in zip(each(module.kernel_size), dilation)]
        stride = each(module.stride)
        return tuple((r + (k - 1) * j, j * s) for (r, j), k, s in zip(field, kernel, stride))
    if isinstance(module, ADAPTIVE):
        wanted = [n if w is None else w for n, w in zip(source.shape[2:], each(module.output_size))]
        ratio = [max(1, -(-size // w)) for size, w in zip(source.shape[2:], wanted)]
        return tuple((r + (k - 1) * j, j * k) for (r, j), k in zip(field, ratio))
    return field
