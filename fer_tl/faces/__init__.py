"""From a picture to the face that a model takes: one way, for building a dataset and for using a model."""
