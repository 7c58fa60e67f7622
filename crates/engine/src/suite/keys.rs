//! Every key of a suite file: the reader accepts these and no others, the reference and the JSON Schema describe them.

use crate::Evaluated;
use gauntlet_core::KeyDoc;
use gauntlet_core::key_doc::{Form, Omitted, Part, key};
use gauntlet_core::optimiser::Decayed;

use Form::{AttackName, Component, Exactly, Flag, Just, Length, List, Number, OneOf, OneOrMany, Positive};
use Form::{Table, Tables, Text, Whole};
use Omitted::{Is, Means, Refused};

/// Keys of a suite, in the order of the reference.
pub const SUITE: &[KeyDoc] = &[
    key("format", Just("1"), Refused, "", "1", "version of the file format"),
    key(
        "name",
        Text,
        Means("the file's name"),
        "",
        "\"mine\"",
        "names the report's folder: letters, digits, `-`, `_`, `.`",
    ),
    key("notes", OneOrMany(&Text), Is("[]"), "", "[\"A first try.\"]", "what readers of the report should know"),
    key("data", Text, Refused, "", "\"glyphs\"", "a data set: `gauntlet list datasets`"),
    key(
        "model",
        Component(Part::Model),
        Refused,
        "",
        "{ name = \"lenet-small\", activation = \"gelu\" }",
        "the architecture of every row that does not name its own",
    ),
    key("seeds", List(&Whole(0)), Is("[0]"), "", "[0, 1, 2]", "training seeds; every row is trained once with each"),
    key(
        "take",
        Whole(1),
        Means("all test images"),
        "images",
        "1000",
        "attack the first n test images; excludes `sample`",
    ),
    key(
        "sample",
        Whole(1),
        Means("all test images"),
        "images",
        "1000",
        "attack n test images, of every class its share; excludes `take`",
    ),
    key(
        "attack_seed",
        Whole(0),
        Is("0"),
        "",
        "1",
        "seed of the attacks, the same for all rows, so that rows can be compared image by image",
    ),
    key(
        "carry",
        Flag,
        Is("false"),
        "",
        "true",
        "an image that is broken at a smaller ε counts as broken at the larger ones and is not attacked again",
    ),
    key(
        "draws",
        Whole(1),
        Is("1"),
        "forwards",
        "50",
        "forwards that a proposal is judged on, for randomised models ([flags.md](flags.md#randomised-models))",
    ),
    key("train", Table(TRAIN), Means("its defaults"), "", "", "how rows are trained"),
    key(
        "row",
        Tables(ROW),
        Refused,
        "",
        "",
        "a row of the tables: a recipe with its hyper-parameters, or somebody's checkpoint",
    ),
    key("attack", Tables(ATTACK), Refused, "", "", "an attack, a column for each of its budgets"),
    key(
        "certify",
        Tables(CERTIFY),
        Means("nothing is proved"),
        "",
        "",
        "what is proved beside the attacks, the other end of every robust accuracy: [certify.md](certify.md)",
    ),
    key(
        "expect",
        Tables(EXPECT),
        Means("nothing is compared"),
        "",
        "",
        "a published number, and where ours should lie",
    ),
    key(
        "quick",
        Table(QUICK),
        Means("there is no smaller version"),
        "",
        "",
        "what `run --quick` changes; what it does not say stays",
    ),
];

/// Keys of `[train]`.
pub const TRAIN: &[KeyDoc] = &[
    key("epochs", Whole(1), Is("5"), "epochs", "10", "passes over the training images"),
    key("batch", Whole(1), Is("128"), "images", "64", "images per step; the last, smaller batch of an epoch is kept"),
    key(
        "optimiser",
        Component(Part::Optimiser),
        Is("{ name = \"adam\", lr = 0.001 }"),
        "",
        "{ name = \"sgd\", lr = 0.1, momentum = 0.9 }",
        "optimiser with its learning rate",
    ),
    key(
        "schedule",
        Component(Part::Schedule),
        Is("\"constant\""),
        "",
        "{ name = \"step\", at = [5, 8] }",
        "how the learning rate moves",
    ),
    key(
        "augmentation",
        OneOrMany(&Component(Part::Augmentation)),
        Is("\"none\""),
        "",
        "[\"crop-flip\", { name = \"cutout\", size = 8 }]",
        "what is done to training images, in order; crop and flip come first, what mixes two images last",
    ),
    key(
        "validation",
        Whole(0),
        Means("a tenth, and 1,000 at most"),
        "images",
        "500",
        "last training images that are held out and measured after every epoch; 0: train on all, measure on 500 of them",
    ),
    key(
        "clip",
        Positive,
        Means("gradients are not clipped"),
        "",
        "1.0",
        "global L2 norm that gradients are scaled down to",
    ),
    key(
        "monitor_eps",
        Length,
        Means("the middle one of the attacks' L∞ budgets"),
        "pixels",
        "\"0.1\"",
        "budget of the PGD that is run on held-out images after every epoch",
    ),
    key(
        "ema",
        Table(EMA),
        Means("no moving average is kept"),
        "",
        "",
        "a moving average of the weights, kept beside the training, for `evaluate`",
    ),
    key(
        "swa",
        Table(SWA),
        Means("none is kept"),
        "",
        "",
        "the mean of the weights at the ends of epochs, for `evaluate`",
    ),
    key(
        "evaluate",
        OneOf(&Evaluated::NAMES),
        Is("\"last\""),
        "",
        "\"best-robust\"",
        "whose weights are measured and attacked: the last epoch's, those of the epoch after which PGD left the most held-out \
         training images right, or an average's",
    ),
    key(
        "smoothing",
        Number,
        Is("0"),
        "",
        "0.1",
        "label smoothing s in [0, 1) of every cross-entropy of the recipe: (1 − s) · onehot + s/K; inner attacks keep the label",
    ),
    key(
        "decay",
        OneOf(&Decayed::NAMES),
        Is("\"all\""),
        "",
        "\"weights\"",
        "which parameters weight decay shrinks; `weights`: neither biases nor batch norm's",
    ),
    key(
        "accumulate",
        Whole(1),
        Is("1"),
        "",
        "4",
        "parts that a batch is taken in, one after the other, before the optimiser's step; batch norm sees each part alone",
    ),
    key(
        "perturb",
        Component(Part::Perturbation),
        Means("the gradient is taken at the weights"),
        "",
        "{ name = \"awp\", gamma = 0.005, start = 10 }",
        "weights at which the gradient is taken instead",
    ),
    key(
        "images",
        Whole(1),
        Means("all that are not held out"),
        "images",
        "1000",
        "training images that are trained on, the first so many",
    ),
    key(
        "extra",
        Table(EXTRA),
        Means("there are the training images alone"),
        "",
        "",
        "images of another data set in every batch; an epoch stays one pass over the training images",
    ),
];

/// Keys of `[train.extra]`.
pub const EXTRA: &[KeyDoc] = &[
    key(
        "data",
        Text,
        Refused,
        "",
        "\"cifar10-edm\"",
        "a data set of the same shape and classes, of which the training split is taken",
    ),
    key("fraction", Number, Refused, "", "0.7", "share of every batch, in (0, 1)"),
];

/// Keys of `[train.ema]`.
pub const EMA: &[KeyDoc] = &[
    key("decay", Number, Is("0.995"), "", "0.999", "d of θ̄ ← d · θ̄ + (1 − d) · θ after every step, in [0, 1)"),
    key("start", Number, Is("0"), "epochs", "1.5", "epochs, with fraction, before the average begins"),
    key(
        "dynamic",
        Flag,
        Is("true"),
        "",
        "false",
        "d is min(decay, (1 + t) / (10 + t)), t steps after `start`, as in Gowal et al.",
    ),
];

/// Keys of `[train.swa]`.
pub const SWA: &[KeyDoc] = &[
    key("start", Whole(0), Refused, "epochs", "10", "the first epoch, from 0, whose end counts"),
    key("every", Whole(1), Is("1"), "epochs", "2", "one of so many epochs counts"),
];

/// Keys of `[[row]]`.
pub const ROW: &[KeyDoc] = &[
    key(
        "id",
        Text,
        Means("the recipe's name"),
        "",
        "\"grad-norm-l1\"",
        "names the row; rows with a checkpoint need one",
    ),
    key(
        "recipe",
        Component(Part::Recipe),
        Means("`base` or `checkpoint` must be given"),
        "",
        "{ name = \"grad-norm\", weight = 0.3 }",
        "a base recipe, or a penalty, which is then added to `ce`: [recipes.md](recipes.md)",
    ),
    key(
        "base",
        Component(Part::Base),
        Means("`recipe` or `checkpoint` must be given"),
        "",
        "\"ce\"",
        "a base recipe, for `penalties`",
    ),
    key(
        "penalties",
        List(&Component(Part::Penalty)),
        Is("[]"),
        "",
        "[{ name = \"grad-norm\", norm = \"l1\", weight = 0.2, ramp = 2 }]",
        "penalties added to `base`",
    ),
    key(
        "checkpoint",
        Text,
        Means("the row is trained"),
        "",
        "\"hf:owner/repo/model.safetensors@revision\"",
        "weights that are not trained here: a file, beside the suite or in the working directory, or one of the hub's",
    ),
    key(
        "names",
        Text,
        Means("the file's own names"),
        "",
        "\"names.txt\"",
        "with `checkpoint`: a list of its tensors' names, one a line, in the order of the model's parameters",
    ),
    key(
        "optional",
        Flag,
        Is("false"),
        "",
        "true",
        "with `checkpoint`: the file is the user's to bring; without it this row alone fails",
    ),
    key(
        "teacher",
        Text,
        Means("it has none"),
        "",
        "\"ce\"",
        "whom the recipe learns from: the id of a row, trained first, or a checkpoint",
    ),
    key("model", Component(Part::Model), Means("the suite's"), "", "\"linear\"", "the architecture of this row"),
    key("train", Table(TRAIN), Means("the suite's"), "", "", "keys of `[train]` that are otherwise for this row"),
    key(
        "note",
        Text,
        Means("nothing"),
        "",
        "\"weight chosen on held-out images\"",
        "what readers of the report should know about it",
    ),
];

/// Keys of `[[attack]]` beside the attack's own parameters.
pub const ATTACK: &[KeyDoc] = &[
    key("name", AttackName, Refused, "", "\"pgd\"", "an attack; its own parameters stand beside this key"),
    key(
        "label",
        Text,
        Means("the attack's name"),
        "",
        "\"pgd-l2\"",
        "heads the columns; two attacks of one name need labels",
    ),
    key("norm", OneOf(&["linf", "l2", "l1", "l0"]), Is("\"linf\""), "", "\"l2\"", "norm of the budget"),
    key("eps", OneOrMany(&Length), Refused, "pixels", "[\"4/255\", \"8/255\"]", "budgets, of images in [0, 1]"),
    key("take", Whole(1), Means("the suite's"), "images", "1000", "this attack on the first n test images"),
    key(
        "sample",
        Whole(1),
        Means("the suite's"),
        "images",
        "1000",
        "this attack on n test images, of every class its share",
    ),
    key(
        "surrogates",
        OneOrMany(&Text),
        Means("no transfer matrix"),
        "",
        "\"all\"",
        "of `transfer`: rows whose models the examples are crafted on, a column for each; `\"all\"`, or their ids",
    ),
    key("all", Just("true"), Means("the suite's"), "", "true", "this attack on all test images"),
];

/// Keys of `[[certify]]`.
pub const CERTIFY: &[KeyDoc] = &[
    key("label", Text, Is("\"bounds\""), "", "\"bounds-l2\"", "heads the columns; no attack's label"),
    key("norm", OneOf(&["linf", "l2", "l1"]), Is("\"linf\""), "", "\"l2\"", "norm of the budget"),
    key("eps", OneOrMany(&Length), Refused, "pixels", "\"0.1\"", "budgets, of images in [0, 1]"),
    key(
        "methods",
        List(&OneOf(&gauntlet_certify::Method::NAMES)),
        Is("[\"ibp\", \"crown\"]"),
        "",
        "[\"ibp\", \"crown\", \"bab\"]",
        "how it is proved, the cheapest first; `bab` searches what neither the others prove nor the attacks break",
    ),
    key("nodes", Whole(1), Is("1000"), "parts", "2000", "parts that `bab` makes of an image's ball at most"),
    key(
        "undecided",
        Whole(1),
        Is("500"),
        "rectifiers",
        "3000",
        "rectifiers left undecided beyond which `bab` is not tried",
    ),
    key(
        "executed",
        OneOf(&["exact", "f32"]),
        Is("\"exact\""),
        "",
        "\"f32\"",
        "what the proof is about: the network of real numbers with these weights, or as a CPU computes it",
    ),
    key("take", Whole(1), Means("the suite's"), "images", "1000", "these proofs for the first n test images"),
    key(
        "sample",
        Whole(1),
        Means("the suite's"),
        "images",
        "1000",
        "these proofs for n test images, of every class its share",
    ),
    key("all", Just("true"), Means("the suite's"), "", "true", "these proofs for all test images"),
];

/// Keys of `[[expect]]`.
pub const EXPECT: &[KeyDoc] = &[
    key("row", Text, Refused, "", "\"mine\"", "the id of a row"),
    key(
        "attack",
        Text,
        Means("`curve` must be given"),
        "",
        "\"fgsm\"",
        "the label of an attack or a certification, `clean`, or `worst case`",
    ),
    key("norm", OneOf(&["linf", "l2", "l1", "l0"]), Is("\"linf\""), "", "\"linf\"", "of a worst case"),
    key("eps", Length, Means("it must be given with an attack"), "pixels", "\"0.1\"", "one of the attack's budgets"),
    key(
        "curve",
        Text,
        Means("`attack` must be given"),
        "",
        "\"alignment\"",
        "a measure of the training's curve, or a term of the recipe",
    ),
    key(
        "epoch",
        Whole(1),
        Means("it must be given with `curve`"),
        "epochs",
        "1",
        "epochs done at that point of the curve",
    ),
    key("scale", Number, Is("1.0"), "", "100.0", "with `curve`: what ours is multiplied with"),
    key(
        "minus",
        Table(MINUS),
        Means("no difference"),
        "",
        "",
        "the other number of a difference; what it does not say is as in the expectation itself",
    ),
    key("value", Number, Means("only the band counts"), "percent", "97.0", "the published number"),
    key("sd", Positive, Means("not stated"), "percent", "0.3", "published standard deviation over trainings"),
    key("n", Whole(1), Means("not stated"), "images", "10000", "images of the published accuracy"),
    key("band", Exactly(2, &Number), Means("no band"), "percent", "[82, 93]", "lowest and highest compatible value"),
    key("at_least", Number, Means("open below"), "percent", "0", "lowest compatible value"),
    key("at_most", Number, Means("open above"), "percent", "5", "highest compatible value"),
    key(
        "or",
        Table(OR),
        Means("one outcome"),
        "",
        "",
        "a second published outcome; each seed is then judged by itself",
    ),
    key(
        "source",
        Text,
        Means("it must be given with `value`"),
        "",
        "\"Table 1 of the paper\"",
        "where the number was published",
    ),
    key(
        "published_with",
        Text,
        Means("nothing is said"),
        "",
        "\"100 epochs\"",
        "what the paper ran that this suite does not",
    ),
];

/// Keys of `minus` of an expectation.
pub const MINUS: &[KeyDoc] = &[
    key("row", Text, Means("the expectation's"), "", "\"mine\"", "the id of a row"),
    key(
        "attack",
        Text,
        Means("the expectation's"),
        "",
        "\"clean\"",
        "the label of an attack, `clean`, or `worst case`",
    ),
    key("norm", OneOf(&["linf", "l2", "l1", "l0"]), Means("the expectation's"), "", "\"linf\"", "of a worst case"),
    key("eps", Length, Means("the expectation's"), "pixels", "\"0.1\"", "one of the attack's budgets"),
    key("curve", Text, Means("the expectation's"), "", "\"alignment\"", "a measure of the training's curve"),
    key("epoch", Whole(1), Means("the expectation's"), "epochs", "1", "epochs done at that point of the curve"),
    key("scale", Number, Means("the expectation's"), "", "100.0", "what ours is multiplied with"),
];

/// Keys of `or` of an expectation.
pub const OR: &[KeyDoc] = &[
    key(
        "band",
        Exactly(2, &Number),
        Means("`at_least` or `at_most` must be given"),
        "percent",
        "[0, 5]",
        "lowest and highest value of the second outcome",
    ),
    key("at_least", Number, Means("open below"), "percent", "0", "lowest value of the second outcome"),
    key("at_most", Number, Means("open above"), "percent", "5", "highest value of the second outcome"),
    key("flag", Text, Means("none is needed"), "", "\"catastrophic-overfitting\"", "a flag that the seed must have"),
];

/// Keys of `[quick]`.
pub const QUICK: &[KeyDoc] = &[
    key("epochs", Whole(1), Means("as in the suite"), "epochs", "2", "passes over the training images"),
    key("take", Whole(1), Means("as in the suite"), "images", "200", "first test images, for all attacks"),
    key("seeds", List(&Whole(0)), Means("as in the suite"), "", "[0]", "training seeds"),
    key("rows", OneOrMany(&Text), Means("as in the suite"), "", "[\"mine\"]", "ids of the rows that are kept"),
    key("note", Text, Means("nothing"), "", "\"shows the ordering\"", "what it shows"),
];
