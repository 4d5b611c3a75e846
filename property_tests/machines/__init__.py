"""State machines over the kernel, and what they hold after every move."""
