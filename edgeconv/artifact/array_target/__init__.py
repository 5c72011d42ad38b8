"""Artifacts of the family `fpga`: an image of the network for the accelerator (docs/accelerator.md)."""
