"""One file for each command of `w2s-rm`: `add(parser)` says what it takes, `run(arguments)` does it.

Nothing heavy is imported before a command runs: `w2s-rm --help` reads all of these files.
"""
