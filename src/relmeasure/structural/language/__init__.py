"""The model as written, and the table of parameters it becomes."""
