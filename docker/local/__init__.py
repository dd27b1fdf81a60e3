"""The whole system as processes of this machine: ``python -m docker.local --help``."""
