"""The ResNet-18 family and the encoders composed of it."""
