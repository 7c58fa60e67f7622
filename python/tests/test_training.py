import copy
import warnings

import numpy as np
import pytest

import gauntlet

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from gauntlet import own_kernels  # noqa: E402
from gauntlet.training import checkpoint_arrays  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def few():
    return gauntlet.load_examples("glyphs", "train", take=512)


def normed():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, 2, 1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(196, 10)
    ).eval()


def linear():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))


QUICK = {"epochs": 5, "batch": 32, "optimiser": {"name": "adam", "lr": 0.01}}


def state(module):
    return {name: t.clone() for name, t in module.state_dict().items()}


def right(module, few):
    with torch.no_grad():
        return float((copy.deepcopy(module).eval()(torch.from_numpy(few[0])).argmax(1).numpy() == few[1]).mean())


def test_a_copy_with_new_weights_and_the_module_untouched(few, tmp_path):
    net = normed()
    before, modes = state(net), [m.training for m in net.modules()]
    grads = [(p.requires_grad, p.grad) for p in net.parameters()]
    lines = []
    trained = gauntlet.train(net, few, "ce", **QUICK, runs=tmp_path, progress=lines.append)
    after = state(trained)
    assert all(torch.equal(before[name], value) for name, value in state(net).items())
    assert modes == [m.training for m in net.modules()] and grads == [(p.requires_grad, p.grad) for p in net.parameters()]
    assert type(trained) is type(net) and trained is not net and not trained.training
    # Every parameter and running statistic moved; nothing else is there.
    assert list(after) == list(before)
    assert [name for name in after if torch.equal(after[name], before[name])] == ["1.num_batches_tracked"]
    assert right(trained, few) > right(net, few) + 0.2
    assert any("epoch 5" in line for line in lines)
    # In eval it is what the graph is.
    (onnx,) = tmp_path.glob("modules/*/*.onnx")
    (checkpoint,) = tmp_path.glob("trainings/*/*.safetensors")
    assert all(np.array_equal(after[name].numpy(), values) for name, values in checkpoint_arrays(checkpoint).items())
    graph = gauntlet.network({"name": f"onnx:{onnx}"}, checkpoint=checkpoint, input=(1, 28, 28))
    z = trained(torch.from_numpy(few[0][:32])).detach().numpy()
    assert np.abs(graph.logits(few[0][:32]) - z).max() < 1e-4 * max(1, np.abs(z).max())
    # The store has it: the same call trains nothing.
    lines.clear()
    again = gauntlet.train(net, few, "ce", **QUICK, runs=tmp_path, progress=lines.append)
    assert not any("epoch" in line for line in lines)
    assert all(torch.equal(a, b) for a, b in zip(state(again).values(), after.values()))


def test_a_step_is_pytorchs(few):
    """One full batch of plain gradient descent, by hand."""
    net, x, y = linear(), *map(torch.from_numpy, few)
    settings = dict(epochs=1, batch=512, validation=0, optimiser={"name": "sgd", "lr": 0.1})
    trained = gauntlet.train(net, few, **settings)
    torch.nn.functional.cross_entropy(net(torch.round(x * 255) / 255), y).backward()
    for own, p in zip(trained.parameters(), net.parameters()):
        assert torch.allclose(own, p - 0.1 * p.grad, atol=1e-5)
        assert own.grad is None and own.requires_grad


def test_recipes_and_settings_are_heard(few):
    given = dict(epochs=2, batch=64, seed=1)
    plain = gauntlet.train(linear(), few, **given)
    hard = gauntlet.train(linear(), few, {"name": "fgsm-rs", "eps": "16/255"}, **given)
    cut = gauntlet.train(linear(), few, {"name": "grad-norm", "weight": 1.0, "graph": "cut"}, **given)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), cut.parameters()))
    attacked = [
        gauntlet.evaluate(net.eval(), *map(torch.from_numpy, few), attacks="fgsm", eps="16/255").robust_accuracy for net in (plain, hard)
    ]
    assert attacked[0] < attacked[1]
    with pytest.raises(gauntlet.InputError, match='unknown key of train "epoch" \\(did you mean "epochs"'):
        gauntlet.train(linear(), few, epoch=2)
    with pytest.raises(gauntlet.InputError, match='unknown recipe "fgsm-rz" \\(did you mean "fgsm-rs"'):
        gauntlet.train(linear(), few, "fgsm-rz")


def test_normalisation_stands_in_front(few):
    torch.manual_seed(0)
    net = normed()
    x, y = map(torch.from_numpy, few)
    trained = gauntlet.train(net, few, **QUICK, mean=[0.2], std=[0.4])
    with torch.no_grad():
        assert float((trained((x - 0.2) / 0.4).argmax(1) == y).float().mean()) > 0.4


def test_what_needs_no_gradient_stays(few):
    net = normed()
    net[0].weight.requires_grad_(False)
    trained = gauntlet.train(net, few, epochs=1, batch=64)
    assert torch.equal(trained[0].weight, net[0].weight) and not trained[0].weight.requires_grad
    assert not torch.equal(trained[0].bias, net[0].bias)


def folded(module, images, path, dynamo, folded=True):
    """An exporter that folds whatever it is told."""
    written(module, images, path, dynamo)


written = own_kernels._write


def test_a_graph_in_which_batch_norm_is_folded_is_refused(few, tmp_path, monkeypatch):
    net = normed()
    for dynamo in (False, True):
        path = str(tmp_path / f"{dynamo}.onnx")
        written(net, torch.from_numpy(few[0][:2]), path, dynamo)
        why, _, _ = own_kernels.unmatched(net, path)
        assert why is not None and ("batch norm 1 was folded into a convolution" in why or "is another one" in why or "none of the module" in why)
    monkeypatch.setattr(own_kernels, "_write", folded)
    with pytest.raises(gauntlet.InputError, match="Sequential cannot be trained, its graph is not the module .*folded into a convolution"):
        gauntlet.train(net, few)


def test_parameters_are_compared_name_by_name_and_value_by_value(few, tmp_path):
    net, path = normed(), str(tmp_path / "net.onnx")
    written(net, torch.from_numpy(few[0][:2]), path, True, folded=False)
    assert own_kernels.unmatched(net, path)[:2] == (None, [])
    other = copy.deepcopy(net)
    with torch.no_grad():
        other[5].bias[3] += 1e-3
    assert own_kernels.unmatched(other, path)[0] == "5.bias is another one in its graph"
    longer = torch.nn.Sequential(*net, torch.nn.Linear(10, 10))
    assert own_kernels.unmatched(longer, path)[0] == "its graph has no 6.weight"
    assert own_kernels.unmatched(net[:5], path)[0] == "its graph has 5.weight, which is none of the module's parameters and buffers"


def test_what_cannot_be_trained_is_told(few):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one = torch.nn.Linear(784, 784)
            self.two = torch.nn.Linear(784, 784)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.two(self.one(x.flatten(1)))[:, :10]

    class Fourier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.last = torch.nn.Linear(784, 10)

        def forward(self, x):
            return self.last(torch.fft.ifft(torch.fft.fft(x)).real.flatten(1))

    still = linear()
    for p in still.parameters():
        p.requires_grad_(False)
    averaging = normed()
    averaging[1].momentum = None
    x, y = few
    for module, data, words in [
        (Tied(), few, "one.weight and two.weight are one parameter"),
        (Fourier(), few, "Fourier cannot be trained, its graph is not the module \\(torch.export: .*TorchScript: "),
        (still, few, "none of its parameters needs a gradient"),
        (averaging, few, "momentum=None"),
        (lambda x: x, few, "a torch.nn.Module can be trained, got function"),
        (linear(), 7, "data must be the name of a data set or \\(images, labels\\), got int"),
        (linear(), (x, y + 5), "the module has 10 classes, an example has label 14"),
        (linear(), (x * 0.5013, y), "values between the 256 levels"),
        (linear(), "glyfs", "did you mean"),
    ]:
        with pytest.raises(gauntlet.InputError, match=words):
            gauntlet.train(module, data)


def test_dropout_is_left_out_and_said(few):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(784, 10))
    with pytest.warns(UserWarning, match="dropout is left out of the training: 1"):
        trained = gauntlet.train(net, few, epochs=1)
    assert trained.training and trained[1].training


def test_a_module_in_training_mode_comes_back_in_it(few):
    net = normed().train()
    net[4].eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trained = gauntlet.train(net, few, epochs=1)
    assert [m.training for m in trained.modules()] == [m.training for m in net.modules()]
