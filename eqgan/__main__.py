"""``python -m eqgan`` is the command ``eqgan``."""

from eqgan.cli import main

if __name__ == "__main__":
    main(prog_name="eqgan")
