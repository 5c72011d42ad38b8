"""Running artifacts: one class per way to run one, all with the same interface.

This file imports nothing, so that CPU features can be asked for without loading numpy.
"""
