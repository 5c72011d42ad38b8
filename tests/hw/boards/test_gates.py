"""The netlist that synthesis makes of the array, with models of the cells, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeconv.hw.boards.board import BOARDS
from edgeconv.hw.boards.gates import gate_library, netlist_verilog
from tests.hw.networks import LAYERS, random_network
from tests.hw.running import check
from tests.hw.test_layers import check_or_too_large
from tests.hw.test_pulse import CYCLES, pulse_program
from tests.hw.test_small import CYCLES as SMALL_CYCLES

PULSES, LAYERS_OF_A_KIND = 4, 3
NETLISTS = {"ulx3s-85f-array": CYCLES, "ecp5-25f": SMALL_CYCLES}
"""Boards whose arrays are simulated cell by cell, and the cycles of a pulse there."""
on_gates = [pytest.mark.accept, pytest.mark.needs_yosys, pytest.mark.needs_verilator, pytest.mark.timeout(7200)]


@pytest.mark.parametrize("weight_type", [pytest.param("i8", marks=on_gates), pytest.param("i4", marks=on_gates)])
@pytest.mark.parametrize(("name", "expected"), NETLISTS.items())
def test_the_netlist_computes_pulses(name: str, expected: dict[str, int], weight_type: str) -> None:
    values = np.random.default_rng(9).integers(0, 4096, (PULSES, 1, 1, 128)).astype(np.uint16)
    board = BOARDS[name]
    whole, library = pulse_program("u16", weight_type), gate_library(board)
    cycles = check(whole, {"x": values}, board.config, library=library).image.cycles
    assert cycles == expected[weight_type]
    print(f"\n{PULSES} pulses with {weight_type} weights on the netlist of {name}: 0 differences, {cycles} cycles each")


@pytest.mark.parametrize("layer", [pytest.param(name, marks=on_gates) for name in LAYERS])
@pytest.mark.parametrize("name", NETLISTS)
def test_the_netlist_computes_layers_of_every_kind(name: str, layer: str) -> None:
    board = BOARDS[name]
    for seed in range(8000, 8000 + LAYERS_OF_A_KIND):
        network, program = random_network(seed, 1, layer)
        check_or_too_large(network, program, board.config, library=gate_library(board))


def _rest_output_registers(design: dict[str, Any]) -> None:
    """Tie the enables of port A's output registers to zero, where yosys leaves them."""
    for module in design["modules"].values():
        for cell in module.get("cells", {}).values():
            if cell["type"] == "DP16KD":
                cell["connections"]["OCEA"] = ["0"]


@pytest.mark.accept
@pytest.mark.needs_yosys
@pytest.mark.needs_verilator
@pytest.mark.timeout(7200)
def test_memories_whose_output_registers_rest_are_seen() -> None:
    library = gate_library(BOARDS["ulx3s-85f-array"], _rest_output_registers)
    values = np.random.default_rng(9).integers(0, 4096, (1, 1, 1, 128)).astype(np.uint16)
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        check(pulse_program("u16", "i8"), {"x": values}, library=library)


def test_a_netlist_becomes_verilog_with_the_parameters_and_pins_that_models_have() -> None:
    memory_pins: dict[str, list[int | str]] = {
        "ADA0": ["0"],
        "ADA1": [2],
        "DOB1": [5],
        "DOB0": [4],
        "CLKB": [3],
        "RSTA": ["0"],
    }
    module: dict[str, Any] = {
        "ports": {
            "clk": {"direction": "input", "bits": [3]},
            "x": {"direction": "input", "bits": [2, 6]},
            "y": {"direction": "output", "bits": [4, "1", 7]},
        },
        "cells": {
            "lut": {
                "type": "LUT4",
                "parameters": {"INIT": "0000000000000110"},
                "connections": {"A": [2], "B": [6], "C": ["x"], "D": ["1"], "Z": [7]},
            },
            "register": {
                "type": "TRELLIS_FF",
                "parameters": {"CEMUX": "1 ", "GSR": "DISABLED", "REGSET": "SET"},
                "connections": {"CLK": [3], "DI": [7], "Q": [8]},
            },
            "memory": {"type": "DP16KD", "parameters": {"REGMODE_B": "OUTREG"}, "connections": memory_pins},
        },
    }
    lines = [line.strip() for line in netlist_verilog({"top": module}).splitlines()]
    assert "assign n6 = x[1];" in lines
    assert "assign y[1] = 1'b1;" in lines
    assert "LUT4 #(.INIT(16'b0000000000000110)) c0 (.A({n2}), .B({n6}), .C({1'b0}), .D({1'b1}), .Z({n7}));" in lines
    assert 'TRELLIS_FF #(.CEMUX("1"), .REGSET("SET")) c1 (.CLK({n3}), .DI({n7}), .Q({n8}));' in lines
    assert 'DP16KD #(.REGMODE_B("OUTREG")) c2 (.ADA({n2, 1\'b0}), .DOB({n5, n4}), .CLKB({n3}));' in lines
