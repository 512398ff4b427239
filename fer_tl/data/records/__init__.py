"""TFRecord files as arrays, without TensorFlow."""
