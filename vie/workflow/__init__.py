"""What the rules need of the library: versions, resources, estimates."""
