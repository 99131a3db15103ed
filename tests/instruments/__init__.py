"""Tests of relmeasure.instruments."""
