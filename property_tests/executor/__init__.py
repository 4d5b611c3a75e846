"""The executor under any schedule: the bits of a request are its own affair."""
