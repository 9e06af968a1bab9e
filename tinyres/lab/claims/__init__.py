"""Popular claims and code listings, put to the test: a decisive number for each claim, a first error and fix for each
listing."""
