"""What a training runs on: one device, all GPUs of a machine, a TPU, or JAX.

asking      what is wrong with what a step asks for, and which process it needs; standard library only
batches     sizes of batches and learning rates by the number of replicas; standard library only
choosing    what is there, what is taken of it, and why
tpu         the TPU, by TensorFlow's resolver
replicas    the steps under a strategy of TensorFlow
optimizers  what Keras' optimizers need to do the same on several replicas as on one device
seeds       dropout masks of each replica's own
precision   what layers compute in
xla         steps that XLA compiles
"""
