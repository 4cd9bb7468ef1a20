"""``python -m tongpin.gateway`` is ``tongpin``."""

from tongpin.gateway.cli import main

main()
