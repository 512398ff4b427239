"""FER-2013, from any of the files it circulates as."""
