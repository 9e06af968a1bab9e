"""Stories: known results, each a setting, a question to guess at, and the answer. A test measures every answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Story:
    """A preset that asks before it shows.

    Attributes:
        name, title: the key, and what stands in the list.
        text: the setting, in two sentences or three. The list shows it with the question, of every story: neither may
            tell the result, its own or another's.
        source, paper, url: where the result comes from. A paper's title often tells it, so it is shown with the answer.
        lab, setting: what runs; only the knobs that are not at their defaults.
        question: what to guess; with `choices` by a button, else on a logarithmic slider from `low` to `high`.
        answer, value: the answer in words, and on the slider or as a button's value. The page fills in {step} and
            {first}, the gradient at the first block against the last, from its run.
        look: the panel in which it is seen.
        steps: after which the answer is there; 0 if it is in the first picture.
        measure: what of the run gives it then: its orbit, modes or gradient (of G). The others are prepared.
        watch: where to look until then, in a sentence.
    """

    name: str
    title: str
    text: str
    source: str
    paper: str
    url: str
    lab: str
    setting: dict[str, Any]
    question: str
    answer: str
    value: float | str
    look: str
    choices: tuple[tuple[str, str], ...] = ()
    low: float = 1e-9
    high: float = 1.0
    steps: int = 0
    measure: str = ""
    watch: str = ""

    def to_json(self, setting: dict[str, Any] | None = None) -> dict[str, Any]:
        """As the page reads it."""
        guess: dict[str, Any] = {"question": self.question, "kind": "buttons" if self.choices else "slider"}
        if self.choices:
            guess["choices"] = [{"value": value, "label": label} for value, label in self.choices]
        else:
            guess |= {"min": self.low, "max": self.high, "scale": "log"}
        return {
            "name": self.name, "title": self.title, "text": self.text, "source": self.source,
            "paper": self.paper, "url": self.url, "lab": self.lab, "setting": self.setting, "guess": guess,
            "look": self.look,
            "answer": {
                "text": self.answer, "value": self.value, "steps": self.steps, "measure": self.measure,
                "watch": self.watch,
            },
        }  # fmt: skip


ARXIV = "https://arxiv.org/abs/"
REACHES = "What part of the gradient at the last block reaches the first?"
PATH = "Look at their path in “Where the two are”."
COUNT = "Look at the count of modes beside the samples."
DIGITS = {"data": "digits", "width": 128}

_TOLD = (
    Story(
        "sigmoid", "Before 2010: sigmoid nets",
        "Ten layers of sigmoids, with the initialisation that was usual then, s_w² = 1/3. A sigmoid is steepest at 0, "
        "where its slope is 1/4.",
        "Glorot & Bengio 2010", "Understanding the difficulty of training deep feedforward neural networks",
        "https://proceedings.mlr.press/v9/glorot10a.html", "net",
        {**DIGITS, "architecture": "plain", "activation": "sigmoid", "depth": 10, "s_w2": 0.333},
        REACHES, "Some 3 parts in 100 million: a sigmoid's slope is at most 1/4, and χ = s_w² E[σ'²] is about 0.02. "
        "Such nets would not train beyond a few layers, and for a long time nobody knew why.",
        2.62e-8, "depth", low=1e-12,
    ),
    Story(
        "he", "ReLU with Glorot's weights",
        "Thirty ReLU layers with Glorot's s_w² = 1, which was derived for units that are linear near 0. ReLU is 0 for "
        "half of its inputs.",
        "He et al. 2015", "Delving deep into rectifiers", ARXIV + "1502.01852", "net",
        {**DIGITS, "architecture": "plain", "depth": 30, "s_w2": 1.0},
        REACHES,
        "About 5 parts in 100,000, as χ = 1/2 predicts: ReLU lets half of the squared gradient through, and "
        "nothing restores the other half. Turn s_w² to 2, He's value: then χ = 1, and it arrives.",
        5.23e-5, "depth",
    ),
    Story(
        "plain56", "Fifty-six layers without a skip",
        "The plain net of the ResNet paper, with batch norm behind each convolution: a first layer, 27 blocks of two "
        "layers, and the head.",
        "He et al. 2016", "Deep residual learning for image recognition", ARXIV + "1512.03385", "net",
        {"family": "conv", "architecture": "plain", "data": "digits", "depth": 56, "width": 16, "batch": 32},
        "How many times larger is the gradient at the first block than at the last?",
        "Some 3,000 times: batch norm makes it explode towards the input. Steps that suit the last block are far too "
        "long for the first, and the net trains worse than one of 20 layers. (It is 2,884 times in the README, where "
        "the net is half as wide and begins with other weights.)", 3.12e3, "depth", low=1e-6, high=1e6,
    ),
    Story(
        "resnet56", "The same with skips",
        "The same 56 layers, with an identity past each of the 27 blocks of two. Nothing else is changed.",
        "He et al. 2016", "Deep residual learning for image recognition", ARXIV + "1512.03385", "net",
        {"family": "conv", "architecture": "residual", "data": "digits", "depth": 56, "width": 16, "batch": 32},
        "How many times larger is the gradient at the first block than at the last?",
        "About 13 times. (In the README's net, which is half as wide, it is 14 times.) Play it: unlike the plain net, "
        "it learns at once.", 12.5, "depth", low=1e-6, high=1e6,
    ),
    Story(
        "explosion", "Batch norm, fifty times",
        "Fifty fully connected ReLU layers, each with batch norm. It was meant to make deep nets easier to train; a "
        "theory says what it does to the gradient at the initial weights.",
        "Yang et al. 2019", "A mean field theory of batch normalization", ARXIV + "1902.08129", "net",
        {**DIGITS, "architecture": "plain", "norm": "batch", "depth": 50, "batch": 128},
        "How many times larger is the gradient at the first block than at the last?",
        "Some 13,000 times: the squared gradient grows by π/(π − 1) = 1.47 in every layer.", 1.32e4, "depth",
        low=1e-6, high=1e6,
    ),
    Story(
        "adding", "Residual blocks without a norm",
        "Twenty residual blocks x + a F(x) with a = 1, without any normalisation. Each hands the gradient back by two "
        "routes, which are summed.",
        "Hanin & Rolnick 2018", "How to start training: the effect of initialization and architecture",
        ARXIV + "1803.01719", "net",
        {**DIGITS, "architecture": "residual", "branch": 1.0, "depth": 20, "lr": 1e-4},
        "How many times larger is the gradient at the first block than at the last?",
        "Nearly 700 times: the squared gradient doubles in each block, 1 + a² = 2. Turn the branch scale to 0.22, "
        "which is 1/√20: then it is 1.6 times.", 668.0, "depth", low=1e-6, high=1e6,
    ),
    Story(
        "highway", "Highway's gate bias",
        "Fifty Highway blocks, whose gates begin with the bias −2. Its authors start the bias below 0, so that the net "
        "begins by carrying its input along.",
        "Srivastava et al. 2015", "Training very deep networks", ARXIV + "1507.06228", "net",
        {"architecture": "highway", "gate_bias": -2.0, "depth": 50, "data": "digits"},
        REACHES, "About 3 parts in 1,000. With a bias of −4 it is four tenths, with −1 it is 6 parts in a million.",
        3.13e-3, "depth",
    ),
    Story(
        "shattered", "Two digits, fifty layers",
        "Fifty plain ReLU layers with He's weights. Compare the gradients at two different digits, by the cosine "
        "between them: is the size of a gradient all that matters?",
        "Balduzzi et al. 2017", "The shattered gradients problem", ARXIV + "1702.08591", "net",
        {"architecture": "plain", "depth": 50, "data": "digits"},
        "What is the mean cosine between the input gradients of two digits? With two layers it is 0.47.",
        "0.07: seen from the input the gradient is close to white noise. Its size is not what is lost: the law, a mean "
        "over many nets, keeps it. One net scatters about the law: in this one, at step {step}, the gradient at block "
        "1 is {first} it is at block 50.", 0.071, "depth",
        low=1e-3,
    ),
    Story(
        "skipinit", "SkipInit at depth 200",
        "Two hundred blocks x + α F(x) without any normalisation, and a learned α that starts at 0.",
        "De & Smith 2020", "Batch normalization biases residual blocks towards the identity function",
        ARXIV + "2002.10444", "net",
        {"architecture": "skipinit", "alpha": 0.0, "depth": 200, "data": "digits"},
        REACHES,
        "All of it: every block starts as the identity. Play it: 200 blocks learn. Batch norm does much the same in "
        "a residual net: it keeps the branches small at the beginning.", 1.0, "depth",
    ),
    Story(
        "chaos", "Which side of the edge?",
        "Fifty tanh layers with s_w² = 4. A tanh net can be trained at any depth only near one value of s_w², which is "
        "1 where there is no bias.",
        "Schoenholz et al. 2017", "Deep information propagation", ARXIV + "1611.01232", "net",
        {**DIGITS, "architecture": "plain", "activation": "tanh", "depth": 50, "s_w2": 4.0},
        "How many times larger is the gradient at the first block than at the last?",
        "Some 2,000 times: the net is chaotic. Turn s_w² to 0.5, and it is 3 parts in 100 million instead: then the "
        "net forgets its input. Between the two lies the edge.", 1.9e3, "depth",
        low=1e-6, high=1e6,
    ),
    Story(
        "saturating", "Learning from a perfect judge",
        "Data N(0, 1), fakes N(4, 1), and the best discriminator there is. The generator of the minimax game descends "
        "log(1 − D): the saturating loss.",
        "Goodfellow et al. 2014; Arjovsky & Bottou 2017",
        "Towards principled methods for training generative adversarial networks", ARXIV + "1701.04862", "game",
        {"target": "gaussians", "distance": 4.0, "best": True, "loss": "saturating", "lr_d": 0.0, "lr_g": 1e-4,
         "batch": 1000},
        "The non-saturating loss gives G a gradient of about 3.9 here. What does the saturating loss give?",
        "About 0.15, with the batch's luck; in theory 0.137, below d/2 exp(−d²/8): the slope of log(1 − D) is gone "
        "where D is sure.", 0.137, "probe", low=1e-4,
        high=10.0, steps=1, measure="gradient",
        watch="Look at the gradient that reaches G, below the curve by D’s confidence.",
    ),
    Story(
        "circling", "The smallest GAN",
        "The Dirac-GAN: the data are at 0, the one fake is at θ, and D(x) = ψ x. Both players take turns with gradient "
        "descent.",
        "Mescheder et al. 2018", "Which training methods for GANs do actually converge?", ARXIV + "1801.04406", "game",
        {"target": "dirac", "loss": "saturating", "optimizer": "sgd", "lr_g": 0.1, "lr_d": 0.1},
        "Where do the two end up?",
        "They circle for ever: the eigenvalues at (0, 0) are ± i/2, and nothing damps them.", "circle", "orbit",
        choices=(("meet", "at (0, 0)"), ("circle", "they circle round it"), ("leave", "they fly apart")),
        steps=300, measure="orbit", watch=PATH,
    ),
    Story(
        "damped", "The smallest GAN, with a penalty",
        "The data are at 0, the one fake is at θ, and D(x) = ψ x, as in the story before; but with the penalty R1 on "
        "D's slope at the data. Its weight is γ = 0.5.",
        "Mescheder et al. 2018", "Which training methods for GANs do actually converge?", ARXIV + "1801.04406", "game",
        {"target": "dirac", "loss": "saturating", "optimizer": "sgd", "lr_g": 0.1, "lr_d": 0.1, "penalty": "r1",
         "weight": 0.5},
        "Where do the two end up?",
        "At (0, 0), which they circled without the penalty: each step shrinks the distance by √(1 − hγ) = 0.975.",
        "meet", "orbit",
        choices=(("meet", "at (0, 0)"), ("circle", "they circle round it"), ("leave", "they fly apart")),
        steps=300, measure="orbit", watch=PATH,
    ),
    Story(
        "collapse", "Eight modes on a ring",
        "Eight small Gaussians on a ring, and a plain GAN. Let it take 600 steps, and count the modes that it "
        "imitates.",
        "Srivastava et al. 2017; Lin et al. 2018",
        "VEEGAN: reducing mode collapse in GANs using implicit variational learning", ARXIV + "1705.07761", "game",
        {"target": "ring8", "lr_g": 2e-3, "lr_d": 2e-3},
        "Will it have found all eight?",
        "The modes of such a game collapse: it hops from some to others, while D chases it. Another seed finds others.",
        "no", "plane",
        choices=(("yes", "yes"), ("no", "no")),
        steps=600, measure="modes", watch=COUNT,
    ),
    Story(
        "cured", "The ring, with a penalty",
        "The same eight Gaussians, with the penalty R1 of weight 0.3 on D's slope at the data. Let it take 1,000 "
        "steps, and watch the count.",
        "Mescheder et al. 2018", "Which training methods for GANs do actually converge?", ARXIV + "1801.04406", "game",
        {"target": "ring8", "lr_g": 2e-3, "lr_d": 2e-3, "penalty": "r1", "weight": 0.3},
        "Compared with the game without the penalty, how many modes will it hold?",
        "More: about seven, against about five without the penalty (means of steps 500 to 1,000 and of three seeds). "
        "A D that is flatter on the data chases G less from mode to mode. All eight come and go.",
        "more", "plane",
        choices=(("more", "more"), ("same", "about as many"), ("fewer", "fewer")),
        steps=1000, measure="modes", watch=COUNT,
    ),
)  # fmt: skip
STORIES: dict[str, Story] = {story.name: story for story in _TOLD}
