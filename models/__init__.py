"""Networks with their data, training recipe and search space; each registers a family by entry point."""
