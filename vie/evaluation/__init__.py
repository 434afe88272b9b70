"""k-nearest neighbours, accuracy with its interval."""
