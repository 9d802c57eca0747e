"""The commands that the scripts in reproduce/ and `smoothie` run."""
