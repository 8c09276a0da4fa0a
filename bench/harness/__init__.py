"""Compares tunnels. `bench/run` is the command; bench/README.md says what is measured."""
