"""Random integer programs through every stage, compared exactly: harness, coverage and the tests."""
