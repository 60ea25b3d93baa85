"""Data scope, export jobs, NDJSON files and manifests: what may leave, why, and how it leaves."""
