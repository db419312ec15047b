"""The version of this program. The package's metadata takes it from here: to read those takes longer
than to answer a question."""

VERSION = "0.1.0"
