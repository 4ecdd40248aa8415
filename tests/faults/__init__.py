"""What a user, a disk or a cluster does to the program: after each nothing finished is lost and nothing half counts.

``pytest tests/faults`` prints at its end how many faults were tried.
"""
