"""Tables, figures and one self-contained page, read from result files; nothing here trains."""
