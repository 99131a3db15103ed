"""Cross-lagged models of class scores over waves, with the errors of class means taken out."""
