"""`python -m sessionlab`."""

from sessionlab.cli import main

main()
