"""The residual stream: what normalisation, attention and mixing do to signals and gradients."""
