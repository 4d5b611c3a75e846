"""Runs of a kernel, written down: as text to play, as a journal to replay."""
