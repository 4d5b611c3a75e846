"""Naive models of prefix sharing, and what drives a kernel beside them."""
