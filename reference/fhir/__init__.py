"""What FHIR itself needs: media types, JSON, Parameters, references, outcomes, NDJSON, search.

Nothing here knows of payers. Values in, values out; no network, no files but NDJSON streams.
"""
