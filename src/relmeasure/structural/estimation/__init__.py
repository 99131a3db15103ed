"""Implied moments, discrepancies, and the estimates that make them small."""
