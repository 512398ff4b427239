"""The training and a trained model as an estimator of scikit-learn."""
