"""Micro-expression recognition research in JAX: motion inputs, fusion networks, all folds at once, honest scores."""
