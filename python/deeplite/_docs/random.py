"""Random numbers."""

DOCS = {
    "alpha_dropout": """Dropout that keeps mean and variance of what selu gives (Klambauer et
al., 2017, arXiv 1706.02515); the identity unless train.

>>> dl.alpha_dropout(dl.ones(2), 0.5, False)
tensor([1., 1.])
""",
    "bernoulli": """Ones with the probability that input has at each place (or p everywhere),
else zeros.

Raises RuntimeError for a probability outside of [0, 1].

>>> dl.bernoulli(dl.tensor([0.0, 1.0]))
tensor([0., 1.])
""",
    "cauchy_": """Fills with draws from the Cauchy distribution with this median and
half-width.

>>> dl.empty(3).cauchy_().shape
deeplite.Size([3])
""",
    "dropout": """Zeros with probability p, and what stays times 1 / (1 - p); the identity
unless train.

Raises ValueError for p outside of [0, 1].

>>> dl.dropout(dl.ones(2), 0.5, False)
tensor([1., 1.])
""",
    "exponential_": """Fills with draws from the exponential distribution with rate lambd.

>>> bool((dl.empty(3).exponential_() > 0).all())
True
""",
    "feature_alpha_dropout": """alpha_dropout of whole channels of [N, C, ...].

>>> dl.feature_alpha_dropout(dl.ones(1, 2), 0.5, False)
tensor([[1., 1.]])
""",
    "feature_dropout": """dropout of whole channels of [N, C, ...].

>>> dl.feature_dropout(dl.ones(1, 2), 0.5, False)
tensor([[1., 1.]])
""",
    "geometric_": """Fills with the number of trials up to the first success of probability p,
1, 2, ...

>>> bool((dl.empty(3).geometric_(0.5) >= 1).all())
True
""",
    "log_normal_": """Fills with exp of normal draws with this mean and standard deviation.

>>> bool((dl.empty(3).log_normal_() > 0).all())
True
""",
    "multinomial": """num_samples indices for each row of weights (not negative, sum positive),
drawn with the probability of their share; without replacement each at most once.

>>> dl.multinomial(dl.tensor([0.0, 1.0]), 1)
tensor([1])
""",
    "normal": """Draws from normal distributions whose means and standard deviations are
tensors or numbers.

>>> dl.normal(dl.tensor([10.0, 20.0]), 0.0)
tensor([10., 20.])
""",
    "normal_": """Fills with draws from the normal distribution with this mean and standard
deviation.

>>> dl.empty(3).normal_().shape
deeplite.Size([3])
""",
    "poisson": """Draws from Poisson distributions with these rates.

>>> dl.poisson(dl.tensor([0.0]))
tensor([0.])
""",
    "rand": """Uniform draws from [0, 1).

>>> dl.rand(2, 3).shape
deeplite.Size([2, 3])
""",
    "rand_like": """Uniform draws from [0, 1), in the shape and dtype of another tensor.

>>> dl.rand_like(dl.ones(2)).shape
deeplite.Size([2])
""",
    "randint": """Integers from low (0) to high, not included, each equally likely.

>>> bool((dl.randint(3, (10,)) < 3).all())
True
""",
    "randint_like": """Integers from low (0) to high, not included, in the shape and dtype of
another tensor.

>>> dl.randint_like(dl.ones(2), 3).shape
deeplite.Size([2])
""",
    "randn": """Draws from the normal distribution with mean 0 and variance 1.

>>> dl.randn(2, 3).shape
deeplite.Size([2, 3])
""",
    "randn_like": """Draws from the normal distribution with mean 0 and variance 1, in the
shape and dtype of another tensor.

>>> dl.randn_like(dl.ones(2)).shape
deeplite.Size([2])
""",
    "random_": """Fills with integers from from_ (0) to to, not included; without limits, up to
what the dtype holds exactly.

>>> bool((dl.empty(3).random_(4) < 4).all())
True
""",
    "randperm": """The numbers 0 to n - 1 in random order.

>>> dl.randperm(4).sort().values
tensor([0, 1, 2, 3])
""",
    "uniform_": """Fills with uniform draws from [from_, to).

>>> bool((dl.empty(3).uniform_(1, 2) >= 1).all())
True
""",
}
