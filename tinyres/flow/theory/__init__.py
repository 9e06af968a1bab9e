"""Closed forms, a file a theory: what the experiments are held against.

mean_field.py     wide random nets: variance maps, fixed points, chi and the depth scale
activations.py    activations and their slopes in NumPy
normalised.py     what batch norm does to the squared gradient
dense.py          layers that see all earlier layers
finite_width.py   the distribution of log |J^T u|² in nets of finite width
shattering.py     the correlation between the gradients at two inputs
isometry.py       the spread of the Jacobian's singular values
gates.py          Highway layers and squeeze-excite
recurrent.py      steps through time
path_lengths.py   how many paths a residual net has of each length, and how much gradient they carry
saturation.py     two Gaussians and the best discriminator between them
dirac.py          eigenvalues and limit cycles of the smallest GAN
wasserstein.py    linear critics: gradient penalty, clipping, parallel lines
gan_metrics.py    what metrics of generators must say of distributions that are known
"""
