"""Instruction sets that code is generated for; `table` lists them."""
