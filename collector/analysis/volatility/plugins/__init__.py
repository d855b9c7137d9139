"""The plugins of ours: what Volatility does not have, or leaves out."""
