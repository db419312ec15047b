"""Commands that configure, run and examine a gateway."""
