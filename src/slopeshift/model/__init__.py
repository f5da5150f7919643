"""The words that a model file is written in, and model files themselves."""
