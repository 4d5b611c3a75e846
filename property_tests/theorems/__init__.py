"""T1 to T17 and the gate: a kernel on trial, and what is claimed of it."""
