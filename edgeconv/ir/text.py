"""The text form of a program: prints, and parses back to an equal program.

Grammar (docs/program.md, "Text form"):

    program     = "program" version NEWLINE {input | constant | operator} "return" names
    input       = "input" %name ":" type
    constant    = "constant" %name ":" type                       (values stand in the npz)
    operator    = %name ":" type "=" keyword "(" operands ")" "{" key "=" value, … "}" ["from" string]
    value       = integer | fraction n/d | hexadecimal float | true | false | none | word | string | [value, …]
                | word "(" key "=" value, … ")"
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction

from edgeconv.errors import ProgramError
from edgeconv.ir.exact import Grid, Linear, Rounding
from edgeconv.ir.operators import OPERATORS, Operator
from edgeconv.ir.program import Constant, Program
from edgeconv.ir.rescale import Rescale
from edgeconv.ir.types import DType, TensorType, dtype

VERSION = 1
_RECORDS: dict[str, type[Linear] | type[Grid] | type[Rescale]] = {"linear": Linear, "grid": Grid, "rescale": Rescale}
_WORDS: dict[str, object] = {"true": True, "false": False, "none": None} | {str(r): r for r in Rounding}
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<float>[-+]?0x[0-9a-f.]+p[-+]?\d+)|(?P<fraction>-?\d+/\d+)|(?P<integer>-?\d+)
    |(?P<name>%"(?:[^"\\]|\\.)*"|%[^\s,:()\[\]{}=]+)|(?P<word>[A-Za-z_]\w*)|(?P<mark>[()\[\]{},:=]))""",
    re.VERBOSE,
)
_PLAIN_NAME = re.compile(r"[^\s,:()\[\]{}=\"\\]+")


def to_text(program: Program, *, abbreviate: bool = False) -> str:
    """The program as text.

    Args:
        abbreviate: print long lists as their first value and length: for people, cannot be parsed back.
    """
    lines = [f"program {VERSION}"]
    lines += [f"input {_name(name)}: {type_}" for name, type_ in program.inputs.items()]
    lines += [f"constant {_name(name)}: {constant.type}" for name, constant in program.constants.items()]
    lines += [_operator_line(operator, program.types[operator.output], abbreviate) for operator in program.operators]
    lines.append("return " + ", ".join(map(_name, program.outputs)))
    return "\n".join(lines) + "\n"


def _operator_line(operator: Operator, type_: TensorType, abbreviate: bool) -> str:
    operands = ", ".join(_operand(getattr(operator, name)) for name in operator.operand_fields)
    pairs = _pairs(operator.attributes(), abbreviate)
    origin = f" from {json.dumps(operator.origin)}" if operator.origin else ""
    return f"{_name(operator.output)}: {type_} = {operator.keyword}({operands}) {{{pairs}}}{origin}"


def _operand(value: str | tuple[str, ...] | None) -> str:
    if value is None:
        return "none"
    return _name(value) if isinstance(value, str) else f"[{', '.join(map(_name, value))}]"


def _name(name: str) -> str:
    return f"%{name}" if _PLAIN_NAME.fullmatch(name) else f"%{json.dumps(name)}"


def _pairs(attributes: Mapping[str, object], abbreviate: bool) -> str:
    return ", ".join(f"{key}={_value(value, abbreviate)}" for key, value in attributes.items())


def _value(value: object, abbreviate: bool) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, tuple):
        if abbreviate and len(value) > 8:
            return f"[{_value(value[0], True)}, … {len(value)} values]"
        return f"[{', '.join(_value(item, abbreviate) for item in value)}]"
    for word, record in _RECORDS.items():
        if isinstance(value, record):
            return f"{word}({_pairs({f.name: getattr(value, f.name) for f in fields(value)}, abbreviate)})"
    if isinstance(value, (int, Rounding, DType)):
        return str(value)
    return json.dumps(value)


def from_text(text: str, constants: Mapping[str, Constant]) -> Program:
    """Parse what `to_text` printed.

    Args:
        constants: the constants by name; those the text declares are taken, with types checked.

    Raises:
        ProgramError: the text cannot be parsed, with line number; or the program breaks a rule.
    """
    inputs: dict[str, TensorType] = {}
    taken: dict[str, Constant] = {}
    operators: list[Operator] = []
    lines = text.splitlines()
    if not lines or lines[0].split() != ["program", str(VERSION)]:
        raise ProgramError(f"line 1: {lines[0] if lines else ''!r}", expected=f"program {VERSION}")
    for number, line in enumerate(lines[1:], 2):
        try:
            parser = _Parser(line)
            if parser.accept("return"):
                return Program(inputs, parser.names_to_end(), tuple(operators), taken)
            if parser.accept("input"):
                name, inputs_type = parser.declaration()
                inputs[name] = inputs_type
            elif parser.accept("constant"):
                name, type_ = parser.declaration()
                taken[name] = _take(constants, name, type_)
            elif line.strip():
                operators.append(parser.operator())
        except (ProgramError, KeyError, TypeError) as error:
            raise ProgramError(f"program text, line {number}: {error}") from error
    raise ProgramError("program text ends without a return line")


def declared_constants(text: str) -> dict[str, TensorType]:
    """Name and type of the constants that a program's text declares, in its order.

    Raises:
        ProgramError: a declaration cannot be parsed, with line number.
    """
    declared: dict[str, TensorType] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("constant "):
            try:
                parser = _Parser(line)
                parser.next("word", "constant")
                name, declared[name] = parser.declaration()
            except (ProgramError, KeyError, TypeError) as error:
                raise ProgramError(f"program text, line {number}: {error}") from error
    return declared


def _take(constants: Mapping[str, Constant], name: str, type_: TensorType) -> Constant:
    if name not in constants:
        raise ProgramError(f"constant %{name} has no values")
    if constants[name].type != type_:
        raise ProgramError(f"constant %{name} holds {constants[name].type}", expected=str(type_))
    return constants[name]


class _Parser:
    """A recursive-descent parser over the tokens of one line."""

    def __init__(self, line: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        position = 0
        line = line.rstrip()
        while position < len(line):
            match = _TOKEN.match(line, position)
            if match is None or match.lastgroup is None:
                raise ProgramError(f"cannot read {line[position : position + 20]!r}")
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def next(self, kind: str | None = None, text: str | None = None) -> str:
        found = self.peek()
        if (kind and found[0] != kind) or (text and found[1] != text):
            raise ProgramError(f"found {found[1] or 'end of line'!r}", expected=text or kind)
        self.at += 1
        return found[1]

    def accept(self, text: str) -> bool:
        if self.peek()[1] != text or self.peek()[0] == "string":
            return False
        self.at += 1
        return True

    def name(self) -> str:
        token = self.next("name")[1:]
        return str(json.loads(token)) if token.startswith('"') else token

    def names_to_end(self) -> tuple[str, ...]:
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        return tuple(names)

    def declaration(self) -> tuple[str, TensorType]:
        name = self.name()
        self.next("mark", ":")
        return name, self.type()

    def type(self) -> TensorType:
        element = dtype(self.next("word"))
        shape = self.value()
        if not isinstance(shape, tuple) or not all(isinstance(extent, int) for extent in shape):
            raise ProgramError(f"shape {shape}", expected="integers")
        return TensorType(shape, element)

    def operator(self) -> Operator:
        output, declared = self.declaration()
        self.next("mark", "=")
        keyword = self.next("word")
        if keyword not in OPERATORS:
            raise ProgramError(f"unknown operator {keyword!r}", expected=", ".join(sorted(OPERATORS)))
        cls = OPERATORS[keyword]
        self.next("mark", "(")
        arguments: dict[str, object] = {"output": output}
        for index, field_name in enumerate(cls.operand_fields):
            if index:
                self.next("mark", ",")
            arguments[field_name] = self.operand()
        self.next("mark", ")")
        self.next("mark", "{")
        arguments |= self.pairs("}")
        if self.accept("from"):
            arguments["origin"] = json.loads(self.next("string"))
        if self.peek()[0] != "end":
            raise ProgramError(f"found {self.peek()[1]!r}", expected="end of line")
        operator = cls(**arguments)  # type: ignore[arg-type]
        del declared  # the validator infers it again; printing it serves the reader
        return operator

    def operand(self) -> str | tuple[str, ...] | None:
        if self.accept("none"):
            return None
        if not self.accept("["):
            return self.name()
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        self.next("mark", "]")
        return tuple(names)

    def pairs(self, close: str) -> dict[str, object]:
        found: dict[str, object] = {}
        while not self.accept(close):
            if found:
                self.next("mark", ",")
            key = self.next("word")
            self.next("mark", "=")
            found[key] = self.value()
        return found

    def value(self) -> object:
        kind, token = self.peek()
        self.at += 1
        if kind == "integer":
            return int(token)
        if kind == "fraction":
            return Fraction(token)
        if kind == "float":
            return float.fromhex(token)
        if kind == "string":
            return json.loads(token)
        if token == "[":
            items: list[object] = []
            while not self.accept("]"):
                if items:
                    self.next("mark", ",")
                items.append(self.value())
            return tuple(items)
        if kind == "word":
            return self.word(token)
        raise ProgramError(f"found {token or 'end of line'!r}", expected="a value")

    def word(self, token: str) -> object:
        if token in _WORDS:
            return _WORDS[token]
        if token in _RECORDS:
            self.next("mark", "(")
            return _RECORDS[token](**self.pairs(")"))  # type: ignore[arg-type]
        return dtype(token)
