"""From a request to a built dataset: copies, groups, splits, records."""
