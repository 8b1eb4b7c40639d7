"""``python -m chiffres`` is the command ``chiffres``."""

from chiffres.cli import main

if __name__ == "__main__":
    main()
