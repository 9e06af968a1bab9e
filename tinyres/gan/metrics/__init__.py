"""How good are the samples of a generator? Every answer says in which features and from how many samples.

metric.py      what an answer is, and what may be asked about
frechet.py     the distance between two Gaussians with the samples' means and covariances, and its bias
kernel.py      the maximum mean discrepancy, without bias
inception.py   how sure a classifier is of each sample, and how varied its answers are
neighbours.py  precision (are the samples real?) and recall (is everything real among them?)
modes.py       modes found, share of good samples and reverse KL, where the data are a known mixture
stacked.py     the same for stacked digits: which of 1,000 triples
asked.py       of conditional players: are samples of the class that was asked for?
extractor.py   the features: a residual classifier trained on the data set
"""

from tinyres.gan.metrics.asked import Asked, asked_for
from tinyres.gan.metrics.extractor import Extractor, classifier
from tinyres.gan.metrics.frechet import FrechetLimit, frechet_distance, frechet_gaussians, frechet_limit, null_bias
from tinyres.gan.metrics.inception import InceptionScore, inception_score
from tinyres.gan.metrics.kernel import mmd
from tinyres.gan.metrics.metric import Metric
from tinyres.gan.metrics.modes import ModeCoverage, mode_coverage
from tinyres.gan.metrics.neighbours import PrecisionRecall, precision_recall
from tinyres.gan.metrics.stacked import StackedModes, read_triples, stacked_modes

__all__ = [
    "Asked", "Extractor", "FrechetLimit", "InceptionScore", "Metric", "ModeCoverage", "PrecisionRecall", "StackedModes",
    "asked_for", "classifier", "frechet_distance", "frechet_gaussians", "frechet_limit", "inception_score", "mmd",
    "mode_coverage", "null_bias", "precision_recall", "read_triples", "stacked_modes",
]  # fmt: skip
