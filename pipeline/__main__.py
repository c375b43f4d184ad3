"""`python -m pipeline VERB` is the same as `brainalign VERB`."""

from pipeline.cli import entry

if __name__ == "__main__":
    entry()
