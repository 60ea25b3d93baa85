"""The resource repository: bytes kept verbatim, compartments, versions and search.

SQLAlchemy Core over SQLite by default, over PostgreSQL by URL. Nothing here decides who may
read what: callers bring that decision as a filter.
"""
