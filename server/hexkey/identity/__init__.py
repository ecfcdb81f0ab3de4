"""Who asks, what they may, and how much: keys, scopes, quotas and budgets. Knows no wire."""
