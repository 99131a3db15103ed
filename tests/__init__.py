"""Tests of relmeasure; they mirror src/relmeasure. Shared helpers are in tests.support."""
