"""The broker of a process that shares a store which another one has open."""
