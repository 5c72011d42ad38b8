"""Proofs that the arithmetic of the RTL is what its specification says, for every operand (docs/formal.md)."""
