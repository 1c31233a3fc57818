"""`python -m arena_tui`: the same entry point as the `arena-tui` command."""

from arena_tui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
