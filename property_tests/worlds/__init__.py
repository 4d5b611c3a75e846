"""Small worlds, explored whole: every interleaving of calls to a kernel."""
