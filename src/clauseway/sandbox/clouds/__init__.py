"""The fake clouds: their addresses, their authentication, their errors."""
