"""What may be wrong with a built dataset as a whole: outliers, order, classes told by looks, voters at odds."""
