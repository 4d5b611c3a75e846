"""What ``check_backend`` does: cases, obligations, and an engine to close."""
