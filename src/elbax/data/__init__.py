"""Data sets: what is known, where the files are, how they are read and binarised."""
