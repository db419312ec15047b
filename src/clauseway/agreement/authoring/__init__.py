"""Help for those who write an agreement: a schema for editors, and one layout of the blocks."""
