"""Planted bugs: kernels that the suite must find to be wrong, and who looks."""
