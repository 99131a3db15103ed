"""Questions people ask, each one short module on top of the estimators."""
