"""The dataframe boundary: anything a user may hand in becomes bound responses or a sample statistic."""
