"""Popular claims and listings, put to the test: each gets one decisive number, or its first failure and the mend."""
