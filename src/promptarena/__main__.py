"""`python -m promptarena` is `arena`."""

from promptarena.cli.main import main

if __name__ == "__main__":
    main()
