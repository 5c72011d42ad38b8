"""Artifacts of target `c`: a model as C99 sources that any compiler takes (docs/target-c.md)."""
