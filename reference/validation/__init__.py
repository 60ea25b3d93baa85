"""Profile tables, the compiler that makes them, and the validator."""
