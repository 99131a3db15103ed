"""Exploratory factor analysis: one correlation matrix, from anything a user may hand in, read by every step.

``exploratory.efa``                    extraction, rotation, fit, standard errors; returns ``solution.EFAResult``
``retention.n_factors``                parallel analysis, empirical Kaiser criterion, MAP, with a suggestion
``adequacy.kmo, adequacy.bartlett``    is there anything to factor?
``stability.bootstrap_loadings, stability.split_samples``   would other samples give the same factors?
``scores``                             weights of factor scores and their determinacy
``congruence``                         do two solutions agree?
``hierarchy``                          Schmid-Leiman, omega hierarchical, explained common variance

Rotations are in ``relmeasure.numerics.rotation``. Nothing is imported here, so that one step loads no other.
"""
