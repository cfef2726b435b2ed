"""`python -m mmframe` is `mmframe`."""

from mmframe.cli.main import main

if __name__ == "__main__":
    main()
