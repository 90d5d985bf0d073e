"""`python -m elbax` is the `elbax` command."""

from elbax.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
