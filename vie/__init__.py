"""Unsupervised Learning from Video with Deep Neural Embeddings, reproduced."""
