"""Commands for metered usage: import it, keep it, hold it against bills."""
