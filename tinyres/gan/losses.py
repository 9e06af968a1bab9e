"""What the two players minimise, from logits a = D(x), D's probability that x is real being sigmoid(a).

Every loss is a mean over its batch, so a generator that sees N fakes gets dL_G/da_i / N: each function of the generator
names that gradient, `pull`, in closed form. It is all that the loss decides: what reaches the generator's weights is
the pull times da/dx, D's own slope, times dx/dw, the generator's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinyres.ops import log, mean, relu, sigmoid, softplus


@dataclass(frozen=True, slots=True)
class GANLoss:
    """A pair of losses, each a number to be *minimised* by its own player.

    Attributes:
        name: the key in `LOSSES`.
        paper: where it comes from.
        discriminator: (logits of real samples (N, 1), logits of fakes (M, 1)) to the discriminator's loss.
        generator: logits of fakes (N, 1) to the generator's loss; of fakes and of real samples, both (N, 1), if
            `paired`.
        paired: the generator's loss compares its fakes with real samples.
    """

    name: str
    paper: str
    discriminator: Callable[[Any, Any], Any]
    generator: Callable[..., Any]
    paired: bool = False


# -- cross-entropy: one discriminator, two generators -----------------------------------------------------------------
def cross_entropy(real: Any, fake: Any) -> Any:
    """-log D(real) - log(1 - D(fake)) = softplus(-a_real) + softplus(a_fake): minus the value of the game.

    At the best discriminator it is log 4 - 2 JSD(real, fake). No logarithm of a rounded probability is taken: it is
    exact however sure D is.
    """
    return mean(softplus(-real)) + mean(softplus(fake))


def saturating(fake: Any) -> Any:
    """log(1 - D(fake)) = -softplus(a): the generator of the minimax game.

    Pull: dL/da = -sigmoid(a) = -D. Where the discriminator is sure that a fake is a fake, a << 0, it vanishes as e^a:
    the worse the generator plays, the less it learns. Goodfellow et al. 2014 [goodfellow2014generative], "Generative
    adversarial nets", eq. 1.
    """
    return -mean(softplus(fake))


def nonsaturating(fake: Any) -> Any:
    """-log D(fake) = softplus(-a): the generator makes its fakes likely, instead of less unlikely.

    Pull: dL/da = -sigmoid(-a) = -(1 - D): 1 where the discriminator is sure of a fake. The same sign everywhere and the
    same fixed point as the minimax game. Goodfellow et al. 2014 [goodfellow2014generative], section 3.
    """
    return mean(softplus(-fake))


# -- least squares ----------------------------------------------------------------------------------------------------
def least_squares_discriminator(real: Any, fake: Any) -> Any:
    """((a_real - 1)² + a_fake²) / 2: real is 1 and fake is 0, as numbers and not as probabilities.

    Mao et al. 2017 [mao2017least].
    """
    return (mean((real - 1) ** 2) + mean(fake**2)) / 2


def least_squares(fake: Any) -> Any:
    """(a - 1)² / 2.

    Pull: dL/da = a - 1: it grows with the distance from the target 1, and it turns round behind it. Mao et al. 2017
    [mao2017least], "Least squares generative adversarial networks", equation 9 (a = 0, b = c = 1).
    """
    return mean((fake - 1) ** 2) / 2


# -- hinge and Wasserstein: one generator, two discriminators ---------------------------------------------------------
def hinge_discriminator(real: Any, fake: Any) -> Any:
    """max(0, 1 - a_real) + max(0, 1 + a_fake): what is beyond the margin teaches nothing any more.

    Lim & Ye 2017 [lim2017geometric], "Geometric GAN"; Miyato et al. 2018 [miyato2018spectral], equation 16.
    """
    return mean(relu(1 - real)) + mean(relu(1 + fake))


def critic(real: Any, fake: Any) -> Any:
    """a_fake - a_real, means of scores: minus the Wasserstein distance, if the critic is 1-Lipschitz and the best such.

    Nothing here keeps it Lipschitz: that takes `clip_weights_`, `gradient_penalty` or `nn.spectral_norm`.
    Arjovsky et al. 2017 [arjovsky2017wasserstein], "Wasserstein GAN", equation 2.
    """
    return mean(fake) - mean(real)


def score(fake: Any) -> Any:
    """-a.

    Pull: dL/da = -1, whatever the discriminator thinks; what the generator gets is D's slope alone.
    """
    return -mean(fake)


# -- relativistic: fakes beside real samples --------------------------------------------------------------------------
def pairing_discriminator(real: Any, fake: Any) -> Any:
    """softplus(-(a_real - a_fake)) of each pair: how much more real the real one is, and no more than that.

    Only the difference counts, so a D that calls everything real has nothing left to say. Both batches must have one
    size, and be drawn independently of each other. Jolicoeur-Martineau 2019 [jolicoeurmartineau2019relativistic], "The
    relativistic discriminator", section 4; Huang et al. 2024 [huang2024gan], equation 2.
    """
    _same_size(real, fake)
    return mean(softplus(fake - real))


def pairing(fake: Any, real: Any) -> Any:
    """softplus(-(a_fake - a_real)) of each pair: the generator asks that its fake looks more real than a real sample.

    Pull: dL/da = -sigmoid(a_real - a_fake): 1 for a fake far behind its partner. Fakes that all lie on one of several
    real points are where other losses get stuck (Sun et al. 2020 [sun2020towards]; law E29 and its claim).
    """
    _same_size(real, fake)
    return mean(softplus(real - fake))


def average_discriminator(real: Any, fake: Any) -> Any:
    """softplus(-(a_real - m_fake)) + softplus(a_fake - m_real), m being the means of the batches: RaSGAN.

    Jolicoeur-Martineau 2019 [jolicoeurmartineau2019relativistic], section 4.2.
    """
    return mean(softplus(mean(fake) - real)) + mean(softplus(fake - mean(real)))


def average(fake: Any, real: Any) -> Any:
    """softplus(a_real - m_fake) + softplus(-(a_fake - m_real)): the same game with the roles exchanged.

    Pull: dL/da = -sigmoid(m_real - a) - mean_i sigmoid(a_real_i - m_fake).
    """
    return mean(softplus(real - mean(fake))) + mean(softplus(mean(real) - fake))


def _same_size(real: Any, fake: Any) -> None:
    if real.shape != fake.shape:
        raise ValueError(
            "relativistic pairing: each fake is compared with one real sample, so both logits must have one shape, "
            f"got {tuple(real.shape)} of real samples and {tuple(fake.shape)} of fakes"
        )


LOSSES = {
    loss.name: loss
    for loss in (
        GANLoss(
            "saturating",
            "Goodfellow et al. 2014 [goodfellow2014generative], arXiv:1406.2661",
            cross_entropy,
            saturating,
        ),
        GANLoss(
            "nonsaturating",
            "Goodfellow et al. 2014 [goodfellow2014generative], arXiv:1406.2661",
            cross_entropy,
            nonsaturating,
        ),
        GANLoss(
            "least_squares",
            "Mao et al. 2017 [mao2017least], arXiv:1611.04076",
            least_squares_discriminator,
            least_squares,
        ),
        GANLoss("hinge", "Lim & Ye 2017 [lim2017geometric], arXiv:1705.02894", hinge_discriminator, score),
        GANLoss("wasserstein", "Arjovsky et al. 2017 [arjovsky2017wasserstein], arXiv:1701.07875", critic, score),
        GANLoss(
            "relativistic",
            "Huang et al. 2024 [huang2024gan], arXiv:2501.05441; "
            "Jolicoeur-Martineau 2019 [jolicoeurmartineau2019relativistic], arXiv:1807.00734",
            pairing_discriminator,
            pairing,
            paired=True,
        ),
        GANLoss(
            "relativistic_average",
            "Jolicoeur-Martineau 2019 [jolicoeurmartineau2019relativistic], arXiv:1807.00734",
            average_discriminator,
            average,
            paired=True,
        ),
    )
}
OF_FAKES = {name: loss for name, loss in LOSSES.items() if not loss.paired}
"""Those whose generator sees the logits of fakes alone: a probe compares them at one D."""


# -- how not to write it ----------------------------------------------------------------------------------------------
def _naive_cross_entropy(real: Any, fake: Any) -> Any:
    return -mean(log(sigmoid(real))) - mean(log(1 - sigmoid(fake)))


def _naive_saturating(fake: Any) -> Any:
    return mean(log(1 - sigmoid(fake)))


saturating_naive = GANLoss(
    "saturating_naive", "the same game, as formulas and most listings write it", _naive_cross_entropy, _naive_saturating
)
"""The saturating game written with probabilities, to show how it breaks; it is not among `LOSSES`.

In float32, 1 - sigmoid(a) is a multiple of 2^-24. So log(1 - sigmoid(a)) is exactly 0 for a < -17.3, where -softplus(a)
still says -e^a; and for a > 16.6 it is log 0: the loss is -inf and its gradient 0 / 0, a NaN in every weight. The other
logarithm, log sigmoid(a), holds out longer: at a < -88.7 the gradient's 1 / sigmoid(a) overflows, and at -104 it is
log 0, too.
"""

__all__ = [
    "LOSSES", "OF_FAKES", "GANLoss", "average", "average_discriminator", "critic", "cross_entropy",
    "hinge_discriminator", "least_squares", "least_squares_discriminator", "nonsaturating", "pairing",
    "pairing_discriminator", "saturating", "saturating_naive", "score",
]  # fmt: skip
