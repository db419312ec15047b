"""Commands that write an agreement, ask it and record its facts."""
