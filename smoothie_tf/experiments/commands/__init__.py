"""The commands that the scripts in reproduce/ and `smoothie` run.

Each takes its flags, `argv`, or those of the process if that is `None`, and returns an
exit status of `command_line`: 0 done, 1 a run failed or a file is damaged, 2 bad input,
130 interrupted. Its docstring names other reasons. Flags that cannot be parsed raise
`SystemExit` with status 2.
"""
