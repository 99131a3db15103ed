"""The dataframe boundary: anything a user may hand in becomes bound responses or a sample statistic.

``binding.bind(instrument, data)``    a frame bound to its instrument: columns found, codes checked, missing classified
``intake.moments(data)``              means and covariances, additive
``careless.careless_responding``      long strings, variability and missing answers of each person
``keys.key_check``                    declared keys against the data

Nothing is imported here, so that scoring loads no statistics.
"""
