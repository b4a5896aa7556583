"""sessionlab: measure, query, migrate and maintain the session stores of AI agents, and prove that nothing was lost."""

__version__ = "0.1.0"
