"""The arithmetic of the RTL, proved, and the proofs themselves: each finds faults."""

from __future__ import annotations

import subprocess

import pytest

from edgeconv.errors import ToolError
from edgeconv.hw.formal import prove as proving
from edgeconv.hw.formal.proofs import IDENTITY, PROOFS, Proof
from edgeconv.hw.formal.prove import find_solver, prove, prove_identity, script
from edgeconv.hw.formal.trace import values_at

BY_NAME = {proof.name: proof for proof in PROOFS}
needs_solver = [pytest.mark.accept, pytest.mark.needs_yosys, pytest.mark.needs_yices, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("proof", [pytest.param(proof, marks=needs_solver, id=proof.name) for proof in PROOFS])
def test_the_unit_is_its_specification_for_all_operands(proof: Proof) -> None:
    assert prove(proof) is None


@pytest.mark.accept
@pytest.mark.needs_yices
def test_the_products_of_the_parts_are_the_product() -> None:
    prove_identity()
    text = IDENTITY.read_text(encoding="utf-8")
    assert "(* 16384 d7)" in text
    wrong = text.replace("(* 16384 d7)", "(* 16383 d7)")
    said = subprocess.run([find_solver(), "/dev/stdin"], input=wrong, capture_output=True, text=True, check=False)
    assert said.stdout.strip() == "sat"


FAULTS = [
    # proof, file, what is right there, what it becomes, the assertion that fails
    ("au", "au.sv", "12'(p[11])", "12'(1'b0)", "high_product"),  # the borrow
    ("au", "au.sv", "17'(signed'(w[3:0]))", "17'(w[3:0])", "_product"),  # the sign of a nibble
    ("au", "au.sv", "17'(signed'(w))", "17'(w)", "low_product"),
    ("au", "au.sv", "mode <= {mode[2:0], nibbles}", "mode <= {mode[1:0], nibbles, nibbles}", "_product"),
    ("au of logic", "au_logic.sv", "mode[0] && w_in[3]", "w_in[3]", "low_product"),  # the low digit of a byte
    ("au of logic", "au_logic.sv", "(13'(upper[i]) <<< 2)", "(13'(upper[i]) <<< 1)", "_product"),
    ("dot", "dot.sv", "four[i]   <= pair[2*i] + pair[2*i+1]", "four[i]   <= pair[2*i] + pair[2*i]", "low_sum"),
    ("dot", "dot.sv", "if (mode[6])", "if (mode[5])", "high_sum"),
    ("accumulator", "accumulator.sv", "acc <<< 8", "acc <<< 7", "accumulation"),
    ("accumulator", "accumulator.sv", "term > largest", "term[18:0] > largest[18:0]", "accumulation"),
    ("partial products", "wide_multiply.sv", "mul_high[MUL_HIGH-1:DIGIT*(DIGITS-1)]", "1'b0", "digit_products"),
    ("partial products", "wide_multiply.sv", ".a(acc_high), .b(mul_low)", ".a(acc_low), .b(mul_low)", "high_low"),
    ("sum of partial products", "wide_multiply.sv", "<<< 2 * DIGIT)", "<<< DIGIT)", "sum"),
    ("sum of partial products", "wide_multiply.sv", "(WIDE'(middle) <<<", "(WIDE'(middle[2*LOW+1:0]) <<<", "sum"),
    ("rounding", "requant.sv", "(fine[0] ^ odd)", "fine[0]", "requantization"),  # parity with zero point
    ("rounding", "requant.sv", "!fine_rest &&", "", "requantization"),  # what is a tie
    ("rounding", "requant.sv", "coarse_rest | (", "(", "requantization"),  # a bit that is shifted out
    ("rounding", "requant.sv", "~(7'h7f << shift_fine)", "~(7'h7e << shift_fine)", "requantization"),
    ("rounding", "requant.sv", "rounded > NARROW'(clip_hi)", "rounded > NARROW'(clip_hi) + 1'b1", "requantization"),
    ("rounding", "requant.sv", "fine[WIDE-1:NARROW-2] == '0", "fine[WIDE-2:NARROW-2] == '0", "requantization"),
    ("rounding", "requant.sv", "if (step[9]) result", "if (valid) result", "requantization"),
]


@pytest.mark.parametrize(
    ("name", "file", "right", "wrong", "assertion"), [pytest.param(*fault, marks=needs_solver) for fault in FAULTS]
)
def test_a_fault_is_found_and_shown(name: str, file: str, right: str, wrong: str, assertion: str) -> None:
    def change(source: str, text: str) -> str:
        if source != file:
            return text
        assert right in text
        return text.replace(right, wrong)

    proof = BY_NAME[name]
    found = prove(proof, change)
    assert found is not None
    print(f"\n{file}: {right} -> {wrong}\n  {found}")
    assert assertion in found.assertion
    assert set(found.values) == {*proof.signed, *proof.unsigned}


def test_every_proof_reads_files_that_are_there_and_its_own_module() -> None:
    for proof in PROOFS:
        assert all(path.is_file() for path in proof.paths)
        assert f"module {proof.top}" in proof.paths[-1].read_text(encoding="utf-8")
        assert f"--top {proof.top} edge_pkg.sv {' '.join((*proof.rtl, *proof.formal))}; prep" in script(proof)


def test_all_shifts_of_the_unit_are_cases_of_the_rounding() -> None:
    assert len(set(BY_NAME["rounding"].cases)) == 1 << 6


def test_a_solver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "_SOLVER", "no-such-solver")
    with pytest.raises(ToolError, match="no-such-solver is not installed") as raised:
        prove(PROOFS[0])
    assert "pip install 'edgeconv[formal]'" in str(raised.value)


WAVEFORM = """$var integer 32 t smt_step $end
$scope module proof $end
$var wire 4 n0 x_0 $end
$var wire 1 n1 even_0 $end
$enddefinitions $end
#0
b0111 n0
1n1
#10
b1110 n0
#20
b0001 n0
0n1
"""


def test_a_counterexample_has_the_values_of_its_cycle() -> None:
    assert [values_at(WAVEFORM, "x_0", cycle, signed=True) for cycle in (0, 1, 2)] == [7, -2, 1]
    assert values_at(WAVEFORM, "x_0", 1, signed=False) == 14
    assert [values_at(WAVEFORM, "even_0", cycle, signed=False) for cycle in (0, 1, 2)] == [1, 1, 0]
    with pytest.raises(ToolError, match="no signal 'y'"):
        values_at(WAVEFORM, "y", 0, signed=True)
