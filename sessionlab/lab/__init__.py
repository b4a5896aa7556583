"""The lab: a DuckDB mirror of session stores, the questions to ask it, and the figures that answer them."""
