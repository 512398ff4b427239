"""FER-2013: its CSV files, FER+'s votes, and its images in class folders."""
