"""Theory in closed form, one file per topic: the predictions that experiments are compared with.

mean_field.py     wide random nets: variance maps, fixed points, chi and the depth scale
activations.py    activations and their slopes in NumPy
normalised.py     batch norm's effect on the squared gradient
dense.py          densely connected layers, which read all earlier ones
finite_width.py   the distribution of log |J^T u|² in nets of finite width
shattering.py     the correlation between the gradients at two inputs
isometry.py       the spread of the Jacobian's singular values
gates.py          Highway layers and squeeze-and-excitation
recurrent.py      RNN and LSTM: gradients through time
stream.py         where the layer norm stands: variances, gains and gradients of a residual stream
attention.py      how alike softmax attention makes the tokens
mixing.py         several residual streams that are mixed
tangent.py        the tangent kernel of residual nets
path_lengths.py   how many paths of each length a residual net has, and how much gradient they carry
saturation.py     generator saturation: two Gaussians and the optimal discriminator
dirac.py          the Dirac-GAN: eigenvalues and limit cycles
landscape.py      what a game is worth on the way out of collapse, at the best discriminator
wasserstein.py    linear critics: gradient penalty, clipping, parallel lines
gan_metrics.py    Fréchet distance, Inception Score, MMD and coverage of known distributions
"""
