"""Backends that come with fairq. They import only its public names."""
