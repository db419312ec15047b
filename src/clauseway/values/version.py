"""The version of this program. The package takes its own from here: to ask an installed package takes
longer than to answer a question."""

VERSION = "0.1.0"
