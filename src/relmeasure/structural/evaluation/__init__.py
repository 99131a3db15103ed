"""What a fit is worth: tests, indices, residuals, what freeing a parameter would gain."""
