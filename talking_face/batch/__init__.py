"""Many clips from a table of jobs, on one machine or on a cluster of them.

A job is a command line: `table` reads them, `check` tries them, `job` carries one out, `engine`
spreads them over workers, `ledger` keeps what they made, `command` ties these together.
"""
