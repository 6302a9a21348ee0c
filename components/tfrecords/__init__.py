"""tf.Examples encoded by the batch, and their shards."""
