"""Scripts for the engine: readers, failing backends, cancels at every suspension."""
