"""The soak: what it starts, what its users do, which faults it injects, and how it judges."""
