"""The commands of ``odinw-bench``, a module each; imported when they are run."""
