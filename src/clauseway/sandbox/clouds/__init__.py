"""The five clouds: their addresses, their authentication, their errors."""
