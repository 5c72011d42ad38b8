"""Program to a C++ project for high-level synthesis: stages joined by streams (docs/target-hls.md)."""
