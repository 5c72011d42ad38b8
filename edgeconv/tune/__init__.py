"""Measured blockings: `edgeconv compile --tune` (docs/performance.md).

`machine` says what can be tuned here, `tuner.tune` does it: `units` are what is measured alone, `rivals` compiles
several versions of one, `race` says which is faster and whether that is more than noise, `answers` keeps what was found
in the user's cache.
"""
