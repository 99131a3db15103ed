"""Exploratory factor analysis: adequacy, extraction, retention, rotation in use, scores."""
