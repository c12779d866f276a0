"""Tokens: streams of token ids in shards, windows of them in an order by number, and mixes of several sources."""
