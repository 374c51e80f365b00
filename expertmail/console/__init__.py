"""HTTP on the console port: health, metrics and the verdict interface."""
