"""Kernels of a GPU: what they compute, as loops on this CPU, and what they become."""
