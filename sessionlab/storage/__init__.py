"""Bytes on disk: files that are replaced whole or not at all, and the locks that writers queue up for. POSIX only (`fcntl`)."""
