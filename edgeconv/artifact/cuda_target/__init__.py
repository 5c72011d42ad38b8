"""Artifacts for NVIDIA GPUs."""
