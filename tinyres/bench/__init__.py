"""Speed, measured side by side with peers in one run: only ratios count, since machines differ and are noisy."""
