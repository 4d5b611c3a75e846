"""Property-based tests: state machines beside naive models, one file per promise."""
