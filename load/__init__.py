"""Load on a payer: journeys of a requesting payer, what they measure, and thresholds.

Locust is imported here only, and it patches its whole process through gevent. So nothing imports
`users`, `measures` or `locustfile` but the child process that `running` starts. Of the other
rooms `reference` is imported and, to judge samples, the checks of `steps`, which need no test
framework.
"""
