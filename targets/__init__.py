"""Boards and instruction sets that edgeconv compiles for, one TOML file each."""
