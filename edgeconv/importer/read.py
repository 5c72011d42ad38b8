"""The walk over an ONNX graph: every node becomes constants or nodes of the quantized graph, every problem is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import numpy_helper

from edgeconv.errors import ModelError, ModelFileError, QuantizationError, UnsupportedModelError
from edgeconv.importer import elementwise, fold
from edgeconv.importer.batch import check_samples_apart, mixing_error, probe_batch
from edgeconv.importer.builder import Builder
from edgeconv.importer.file import load, versions_by_domain
from edgeconv.importer.graph import GraphInput, Node, QuantizedGraph, Quantizer
from edgeconv.importer.inputs import InputShape, bind, declared_inputs
from edgeconv.importer.node import OnnxNode, label
from edgeconv.importer.old_operators import modernized
from edgeconv.importer.operators import KEEP_INTEGERS, QUANTIZERS, handler, refusal
from edgeconv.importer.patterns import fuse_normalizations
from edgeconv.importer.values import Constant, QuantizedConstant, Tensor, Unknown, Value

# Operators that make constants from shapes and attributes alone.
_FROM_SHAPES = {"Shape": fold.shape, "Size": fold.size, "Constant": fold.constant}


def read(path: Path, shapes: Mapping[str, int]) -> QuantizedGraph:
    """What `edgeconv.importer.read_onnx` does."""
    return read_model(load(path), str(path), shapes)


def read_model(model: onnx.ModelProto, place: str, shapes: Mapping[str, int]) -> QuantizedGraph:
    """The quantized graph of a model in memory, as `edgeconv.importer.file.load` gives it.

    Args:
        place: what to call the model in errors.
    """
    constants = _initializers(model, place)
    declared = declared_inputs(model)
    inputs = bind(declared, shapes, 1)
    graph = _Walk(model, constants, inputs).graph()
    if not any(graph_input.symbolic_batch for graph_input in inputs):
        return graph
    batch, symbol = probe_batch(model), _batch_symbol(declared, shapes)
    try:
        many = _Walk(model, constants, bind(declared, shapes, batch)).graph()
    except ModelError as error:
        raise mixing_error(error.problem.replace(str(batch), symbol), symbol) from error
    check_samples_apart(graph, many, batch, symbol)
    return graph


def _batch_symbol(declared: Sequence[InputShape], shapes: Mapping[str, int]) -> str:
    return next(str(s.dimensions[0]) for s in declared if s.leads_with_symbol and s.dimensions[0] not in shapes)


def _initializers(model: onnx.ModelProto, place: str) -> dict[str, Value]:
    constants: dict[str, Value] = {}
    for tensor in model.graph.initializer:
        try:
            constants[tensor.name] = Constant(tensor.name, numpy_helper.to_array(tensor))
        except Exception as error:
            raise ModelFileError(
                f"{place}: the data of tensor '{tensor.name}' does not fit its shape {list(tensor.dims)}: {error}",
                expected="as many values as the shape says",
                advice="export or download the model again; it is truncated or corrupt",
            ) from error
    for sparse in model.graph.sparse_initializer:
        raise UnsupportedModelError(
            f"tensor '{sparse.values.name}' is sparse",
            expected="dense tensors",
            advice="store it as a dense initializer",
        )
    return constants


class _Walk:
    """One reading of a model with static input shapes."""

    def __init__(self, model: onnx.ModelProto, constants: Mapping[str, Value], inputs: Sequence[GraphInput]) -> None:
        self._model = model
        self._versions = versions_by_domain(model)
        names = [name for node in model.graph.node for name in node.output]
        self._build = Builder([*names, *constants, *(graph_input.name for graph_input in inputs)])
        self._values: dict[str, Value] = dict(constants)
        self._problems: list[ModelError] = []
        for graph_input in inputs:
            self._values[graph_input.name] = self._build.add_input(graph_input)

    def graph(self) -> QuantizedGraph:
        """The quantized graph.

        Raises:
            ModelError: everything that is wrong with the model, at once.
        """
        for proto in self._model.graph.node:
            self._visit(proto)
        if self._problems:
            raise _together(self._problems)
        outputs = tuple(self._output(value.name) for value in self._model.graph.output)
        build = self._build
        nodes = _needed(fuse_normalizations(build.nodes, build.constants, build.shapes), outputs)
        used = {name for node in nodes for name in node.inputs} | {node.output for node in nodes} | set(outputs)
        used |= {graph_input.name for graph_input in build.inputs}
        return QuantizedGraph(
            inputs=tuple(build.inputs),
            outputs=outputs,
            output_names=tuple(value.name for value in self._model.graph.output),
            nodes=tuple(nodes),
            constants={name: array for name, array in build.constants.items() if name in used},
            constant_dtypes={name: kind for name, kind in build.constant_dtypes.items() if name in used},
            shapes={name: shape for name, shape in build.shapes.items() if name in used},
            dialect=build.dialects.copy().pop() if len(build.dialects) == 1 else "mixed",
        )

    def _visit(self, proto: onnx.NodeProto) -> None:
        try:
            results = self._read(proto)
        except ModelError as error:
            self._problems.append(error)
            results = [Unknown()] * len(proto.output)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # Attributes of the wrong type and inputs of the wrong rank have no end of forms.
            self._problems.append(_malformed(proto, error))
            results = [Unknown()] * len(proto.output)
        for name, value in zip(proto.output, results, strict=False):
            self._values[name] = value

    def _read(self, proto: onnx.NodeProto) -> Sequence[Value]:
        values = [self._values[name] if name else None for name in proto.input]
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        read = handler(domain, proto.op_type)
        known = [value for value in values if not isinstance(value, Unknown)]
        can_fold = domain == "" and all(value is None or isinstance(value, _CONSTANTS) for value in values)
        if read is None and proto.op_type not in _FROM_SHAPES and not can_fold:
            text, advice = refusal(domain, proto.op_type)
            raise UnsupportedModelError(
                f"node '{label(proto)}': {text}", expected="an operator of docs/importer.md", advice=advice
            )
        if len(known) < len(values):
            return [Unknown()] * len(proto.output)
        node = OnnxNode(proto, tuple(known), tuple(proto.output), self._versions.get(domain, 1))
        if domain == "" and proto.op_type in _FROM_SHAPES:
            return _FROM_SHAPES[proto.op_type](node)
        if domain == "" and fold.is_foldable(node) and (read is None or not _keeps_integers(node)):
            return _folded(node)
        assert read is not None
        return read(modernized(node), self._build)

    def _output(self, name: str) -> str:
        value = self._values[name]
        if not isinstance(value, Tensor):
            raise UnsupportedModelError(
                f"output '{name}' is a constant",
                expected="a value that depends on an input",
                advice="remove this output",
            )
        if value.nominal is None or value.dtype is not None:
            return value.name
        # Sums that ONNX declares as integers leave as integers: at scale 1 this rounds nothing.
        kind = value.nominal
        node = OnnxNode(onnx.NodeProto(op_type="Output", output=[name]), (), (name,), 0)
        quantizer = Quantizer((1.0,), 0, kind, kind.lo, kind.hi)
        return self._build.quantize(node, value.name, quantizer, output=self._build.fresh(f"{name}.{kind}")).name


_CONSTANTS = (Constant, QuantizedConstant)


def _malformed(proto: onnx.NodeProto, error: Exception) -> ModelFileError:
    problem = ModelFileError(
        f"node '{label(proto)}' ({proto.op_type}) is malformed: {type(error).__name__}: {error}",
        expected="attributes and inputs as the ONNX specification has them",
        advice="onnx.checker.check_model tells what is wrong; export the model again",
    )
    problem.__cause__ = error
    return problem


def _keeps_integers(node: OnnxNode) -> bool:
    if node.op in QUANTIZERS:
        return True
    x = node.value(0)
    is_quantized = isinstance(x, QuantizedConstant) or (isinstance(x, Constant) and x.narrow is not None)
    return is_quantized and node.op in KEEP_INTEGERS


def _folded(node: OnnxNode) -> Sequence[Value]:
    if node.op == "Clip":
        clipped = elementwise.clip_constant(modernized(node))
        if clipped is not None:
            return clipped
    return fold.fold(node)


def _needed(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if node.output in wanted:
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


def _together(problems: Sequence[ModelError]) -> ModelError:
    if len(problems) == 1:
        return problems[0]
    lines = [f"the model has {len(problems)} problems"]
    for number, problem in enumerate(problems, 1):
        lines.append(f"  {number}. " + str(problem).replace("\n", "\n   "))
    only_quantization = all(isinstance(problem, QuantizationError) for problem in problems)
    return (QuantizationError if only_quantization else UnsupportedModelError)("\n".join(lines))
