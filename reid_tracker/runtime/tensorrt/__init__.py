"""TensorRT engines: built, kept, chosen and run. Needs no TensorRT until one is built or loaded."""
