//! Trees as JSON, byte for byte as restic writes them, so that equal directories have equal ids.
