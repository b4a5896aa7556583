"""Migrations between stores: plan, stage, verify, promote, record; and the way back."""
