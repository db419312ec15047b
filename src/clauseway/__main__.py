"""`python -m clauseway`: the same commands as `clauseway`."""

from clauseway.cli import main

if __name__ == "__main__":
    main()
