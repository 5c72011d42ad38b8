"""Artifacts of the family `hls`: a C++ project for high-level synthesis."""
