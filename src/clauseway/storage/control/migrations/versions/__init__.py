"""A script for each version of the tables, `v0001_…` onward, each named by what it adds."""
