"""Seeded bugs: each must be caught by the comparison of random graphs or by the certificate's check."""
