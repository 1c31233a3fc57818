"""The store: one DuckDB file, one writer, typed windowed reads."""
