"""Keeping stores in bounds: policy -> plan, with a reason for every entry -> apply -> undo; and the reaper of what runs and webhooks leave.

Importing this loads nothing else; see `policy`, `plan`, `apply`, `undo` and `reaper`.
"""
