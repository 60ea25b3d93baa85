"""Load on a payer: journeys of a requesting payer, what they measure, and thresholds.

Locust is imported here only, and it patches its whole process through gevent. So nothing imports
`journeys`, `measures` or `locustfile` but the child process that `running` starts. Of the other
rooms only `reference` and `reports` are imported.
"""
