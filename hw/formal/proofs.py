"""What is proved: one statement about the RTL after the other (docs/formal.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edgeconv.hw.export import FOLDER

__all__ = ["IDENTITY", "PLACE", "PROOFS", "Proof"]

PLACE = FOLDER / "formal"
IDENTITY = PLACE / "multiplied_out.smt2"
"""The distributive law behind the proofs of the product, for integers."""

# Multiplications that the solver is to see inside of, as sums; and those of which it need not know anything.
_AS_SUMS = ("techmap -autoproc -map multiplication.v t:$mul", "opt")
_AS_ANYTHING = ("cutpoint t:$mul",)


@dataclass(frozen=True)
class Proof:
    """One module of hw/formal/rtl whose assertions are shown to hold.

    Attributes:
        name: of the proof.
        says: what is shown, in a line.
        top: the module.
        rtl: files of hw/rtl that are proved, in the order of compilation.
        formal: files of hw/formal/rtl, the module's own one last.
        cycle: the last cycle, in which assertions are looked at; those of cycles from `first` on.
        signed: signals of the module that a counterexample shows as numbers with sign.
        unsigned: those that it shows as numbers without.
        first: the first cycle in which assertions are looked at.
        passes: commands of yosys behind `prep`.
        defines: names that the preprocessor knows.
        cases: constraints of which one holds, as SMT-LIB with signals in brackets; each is a run of the solver.
        afresh: the solver gets the whole problem at once, and simplifies it, instead of one that grows.
    """

    name: str
    says: str
    top: str
    rtl: tuple[str, ...]
    formal: tuple[str, ...]
    cycle: int
    signed: tuple[str, ...]
    unsigned: tuple[str, ...]
    first: int | None = None
    passes: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    cases: tuple[str, ...] = ("true",)
    afresh: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files but the generated package, in the order of compilation."""
        rtl = tuple(FOLDER / "rtl" / name for name in self.rtl)
        return rtl + tuple(PLACE / "rtl" / name for name in self.formal)


_PRODUCT_RTL = ("mul_dsp.sv", "wide_multiply.sv")
_UNIT = Proof(
    name="au",
    says="an arithmetic unit gives x·w, or x times both 4-bit weights, for |x| ≤ 255",
    top="au_proof",
    rtl=("mul_dsp.sv", "au.sv"),
    formal=("au_spec.sv", "au_proof.sv"),
    cycle=5,
    signed=("x_0", "low", "expected_low", "high", "expected_high"),
    unsigned=("nibbles_0", "w_0"),
    passes=_AS_SUMS,
)
PROOFS = (
    _UNIT,
    replace(
        _UNIT,
        name="au of logic",
        says="so does one whose multiplier is made of logic",
        rtl=("au_logic.sv",),
        defines=("LOGIC",),
    ),
    Proof(
        name="dot",
        says="a processing element adds its eight products, whatever they are",
        top="dot_proof",
        rtl=("dot.sv",),
        formal=("any_products.sv", "dot_proof.sv"),
        cycle=9,
        signed=("low", "expected_low", "high", "expected_high"),
        unsigned=("nibbles_0", "x_0", "w_0"),
    ),
    Proof(
        name="accumulator",
        says="an accumulator adds, multiplies by 256 and adds, or keeps the larger, exactly where that fits",
        top="accumulator_proof",
        rtl=("pipeline_pkg.sv", "accumulator.sv"),
        formal=("accumulator_proof.sv",),
        cycle=1,
        signed=("acc_0", "term_0", "acc", "expected"),
        unsigned=("control_0",),
    ),
    Proof(
        name="partial products",
        says="wide_multiply multiplies the parts of accumulator and multiplier with one another",
        top="product_proof",
        rtl=_PRODUCT_RTL,
        formal=("product_proof.sv",),
        cycle=3,
        signed=("acc_0", "multiplier_0"),
        unsigned=("cycle",),
        first=1,
        passes=_AS_SUMS,
        defines=("UNITS",),
    ),
    Proof(
        name="sum of partial products",
        says="it adds addend and partial products, whatever these are, each at its place",
        top="product_proof",
        rtl=_PRODUCT_RTL,
        formal=("product_proof.sv",),
        cycle=5,
        signed=("addend_0", "low_low_q", "high_low_q", "low_high_q", "high_high_q", "total", "expected"),
        unsigned=(),
        passes=_AS_ANYTHING,
        defines=("UNITS", "CUT"),
    ),
    Proof(
        name="rounding",
        says="requantization gives clip(round(value / 2^shift) + zero point), whatever the product is",
        top="rounding_proof",
        rtl=("requant.sv",),
        formal=("any_total.sv", "requant_spec.sv", "rounding_proof.sv"),
        cycle=11,
        signed=("value_0", "zero_point_0", "lo_0", "hi_0", "result", "expected"),
        unsigned=("shift_0", "even_0"),
        afresh=True,
        cases=tuple(f"(= [shift] #b{shift:06b})" for shift in range(64)),
    ),
)
