"""Masks that a person or another program made: each is asked what it is before it is measured."""
