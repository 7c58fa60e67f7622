import contextlib
import threading
import types

import numpy as np
import pytest

import gauntlet
from gauntlet.torch_model import TorchModel

torch = pytest.importorskip("torch")


def attacked(model, tensors, **how):
    x, y = tensors
    return gauntlet.evaluate(model, x, y, **{"attacks": {"name": "pgd", "steps": 5}, "eps": "0.03", "progress": False, **how})


@pytest.fixture(scope="module")
def plain(trained, glyphs):
    return attacked(trained, tuple(torch.from_numpy(a) for a in glyphs))


class Wrapped(torch.nn.Module):
    def __init__(self, net, answer):
        super().__init__()
        self.net, self.answer = net, answer

    def forward(self, x):
        return self.answer(self.net, x)


def test_a_module_is_attacked_and_left_as_it_was(trained, tensors, plain):
    assert 0 < plain.robust_accuracy < plain.clean_accuracy and plain.name == "Sequential"
    assert plain.x_adv.dtype == torch.float32 and plain.x_adv.shape == tensors[0].shape
    # The module itself says so.
    with torch.no_grad():
        right = trained(plain.x_adv).argmax(1) == tensors[1]
    assert float(right.float().mean()) == pytest.approx(plain.robust_accuracy)
    assert all(p.requires_grad and p.grad is None for p in trained.parameters())


def test_parameters_are_restored_whatever_happens(trained, tensors):
    before = [p.requires_grad for p in trained.parameters()]
    calls = []

    def fails(net, x):
        calls.append([p.requires_grad for p in net.parameters()])
        if len(calls) == 8:
            raise ZeroDivisionError("in the middle")
        return net(x)

    with pytest.raises(ZeroDivisionError, match="in the middle"):
        attacked(Wrapped(trained, fails).eval(), tensors)
    assert not any(any(c) for c in calls)
    assert [p.requires_grad for p in trained.parameters()] == before
    one = next(trained.parameters())
    one.requires_grad_(False)
    attacked(trained, tensors)
    assert not one.requires_grad and all(p.requires_grad for p in list(trained.parameters())[1:])
    one.requires_grad_(True)


@pytest.mark.parametrize(
    "answer",
    [
        lambda net, x: (net(x), x),
        lambda net, x: [net(x)],
        lambda net, x: {"logits": net(x), "loss": None},
        lambda net, x: types.SimpleNamespace(logits=net(x)),
    ],
)
def test_logits_come_in_many_ways(trained, tensors, plain, answer):
    assert attacked(Wrapped(trained, answer).eval(), tensors).columns()["fate"] == plain.columns()["fate"]


def test_functions_of_tensors_are_models_too(trained, tensors, plain):
    assert attacked(lambda x: trained(x), tensors).columns()["fate"] == plain.columns()["fate"]


def test_training_mode_and_dropout_that_drops_are_found(trained, tensors):
    dropping = torch.nn.Sequential(trained, torch.nn.Dropout(0.5)).eval()
    dropping[1].train()
    words = "Sequential is in training mode \\(1 of its modules: 1 \\(Dropout\\)\\): .* call model.eval\\(\\) before, or say train_mode=True"
    with pytest.raises(gauntlet.InputError, match=words):
        attacked(dropping, tensors)
    flags = [f.name for f in attacked(dropping, tensors, train_mode=True).flags]
    assert "randomised-model" in flags
    with pytest.raises(gauntlet.InputError, match="AutoAttack|training mode"):
        gauntlet.AutoAttack(dropping, eps=0.03).run_standard_evaluation(*tensors)
    assert dropping[1].training


def test_batch_norm_without_running_statistics_is_found(tensors):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(784, track_running_stats=False), torch.nn.Linear(784, 10)).eval()
    with pytest.raises(gauntlet.InputError, match="answers 64 images and fails on one alone \\(Expected more than 1 value per channel"):
        attacked(net, tensors)
    net = torch.nn.Sequential(torch.nn.BatchNorm2d(1, track_running_stats=False), torch.nn.Flatten(), torch.nn.Linear(784, 10)).eval()
    with pytest.raises(gauntlet.InputError, match="answers image 0 differently alone and beside 63 others"):
        attacked(net, tensors)


@pytest.mark.parametrize("cut", [lambda net, x: net(x.detach()), lambda net, x: net(x).detach(), lambda net, x: no_grad(net, x)])
def test_gradients_that_are_cut_are_found(trained, tensors, cut):
    words = "gives no gradient: its logits do not depend on its input .* attack it as a black box"
    with pytest.raises(gauntlet.InputError, match=words):
        attacked(Wrapped(trained, cut).eval(), tensors)


def no_grad(net, x):
    with torch.no_grad():
        return net(x)


def test_the_black_box_that_is_told_works(trained, tensors, plain):
    model = gauntlet.Model(lambda x: trained(torch.from_numpy(x)).detach())
    result = attacked(model, tensors, attacks={"name": "square", "queries": 100})
    assert plain.robust_accuracy <= result.robust_accuracy <= plain.clean_accuracy


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, contextlib.nullcontext])
def test_the_callers_grad_mode_does_not_matter(trained, tensors, plain, mode):
    with mode():
        assert attacked(trained, tensors).columns()["fate"] == plain.columns()["fate"]


def test_the_callers_autocast_holds(trained, tensors):
    seen = set()

    def answer(net, x):
        seen.add((torch.is_autocast_enabled("cpu"), threading.get_ident()))
        return net(x)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = attacked(Wrapped(trained, answer).eval(), tensors)
    assert seen == {(True, threading.get_ident())} and result.clean_accuracy > 0.5


def test_other_precisions(trained, tensors, plain):
    import copy

    double = attacked(copy.deepcopy(trained).double(), tensors)
    assert abs(double.robust_accuracy - plain.robust_accuracy) <= 0.02
    half = attacked(copy.deepcopy(trained).bfloat16(), tensors)
    assert abs(half.clean_accuracy - plain.clean_accuracy) <= 0.05
    x, y = tensors
    assert attacked(trained, (x.double(), y)).x_adv.dtype == torch.float64


def test_normalisation_is_done_for_the_module(trained, tensors, plain):
    expects = Wrapped(trained, lambda net, x: net(x * 0.25 + 0.5)).eval()
    result = attacked(expects, tensors, mean=[0.5], std=[0.25])
    same = [a == b for a, b in zip(result.columns()["fate"], plain.columns()["fate"])]
    assert sum(same) >= 99
    for wrong, words in [
        (dict(mean=[0.5]), "mean and std belong together"),
        (dict(mean=[0.5], std=[0.0]), "std must be above 0 in every channel"),
        (dict(mean=[0.5] * 3, std=[0.5] * 3), "mean has 3 channels, the images 1"),
    ]:
        with pytest.raises(gauntlet.InputError, match=words):
            attacked(expects, tensors, **wrong)
    with pytest.raises(gauntlet.InputError, match="it goes from -2 to 2: give the pixels themselves, and mean= and std="):
        attacked(expects, ((tensors[0] - 0.5) / 0.25, tensors[1]))


def test_devices_are_told_apart(trained, tensors):
    class Mixed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.far = trained, torch.nn.Parameter(torch.zeros(1, device="meta"))

        def forward(self, x):
            return self.net(x)

    with pytest.raises(gauntlet.InputError, match="lies on several devices \\(cpu, meta\\): say with device= where images go"):
        attacked(Mixed().eval(), tensors)
    assert attacked(Mixed().eval(), tensors, device="cpu").clean_accuracy > 0.5
    with pytest.raises(gauntlet.InputError, match="device is cuda, the model is on cpu: move it there with model.to\\('cuda'\\)"):
        attacked(trained, tensors, device="cuda")


def test_a_width_that_does_not_fit_into_memory_is_halved(trained, tensors, plain):
    sizes = []

    def answer(net, x):
        sizes.append(len(x))
        if len(x) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return net(x)

    result = attacked(Wrapped(trained, answer).eval(), tensors)
    assert result.columns()["fate"] == plain.columns()["fate"]
    assert result.notes == ["64 images at once do not fit into memory: 32 are taken", "32 images at once do not fit into memory: 16 are taken"]
    assert sum(s > 20 for s in sizes) == 2

    def never(net, x):
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        attacked(Wrapped(trained, never).eval(), tensors)


def test_batches_of_one_width_where_shapes_matter(trained, tensors, plain):
    sizes = set()

    def answer(net, x):
        sizes.add(len(x))
        return net(x)

    model = TorchModel(Wrapped(trained, answer).eval())
    model.padded = True
    result = attacked(model, tensors, bs=30)
    # 1 and 2 are those of the look before.
    assert sizes <= {30, 2, 1} and result.columns()["fate"] == plain.columns()["fate"]


def test_gradients_are_those_of_torch(trained, tensors):
    x, _ = tensors
    model = TorchModel(trained)
    z, pull = model.linearise(x[:7].numpy().copy())
    c = np.random.default_rng(0).normal(size=z.shape).astype(np.float32)
    leaf = x[:7].clone().requires_grad_()
    expected = trained(leaf)
    (g,) = torch.autograd.grad(expected, leaf, torch.from_numpy(c))
    assert np.array_equal(z, expected.detach().numpy()) and np.array_equal(pull(c), g.numpy())
    assert np.array_equal(pull(c), pull(c))


def test_two_threads_freeze_one_module(trained, tensors):
    found = []
    workers = [threading.Thread(target=lambda: found.append(attacked(trained, tensors).robust_accuracy)) for _ in range(2)]
    [w.start() for w in workers]
    [w.join() for w in workers]
    assert len(set(found)) == 1 and len(found) == 2
    assert all(p.requires_grad for p in trained.parameters())


def test_an_attack_is_a_function_of_model_and_images(trained, tensors, plain):
    x_adv = gauntlet.attack("pgd", steps=5, eps="0.03")(trained, *tensors)
    assert torch.equal(x_adv, plain.x_adv)
    assert torch.equal(gauntlet.attacks.pgd(steps=5)(trained, *tensors, eps=0.03), plain.x_adv)
    with pytest.raises(gauntlet.InputError, match="eps is required"):
        gauntlet.attacks.pgd(steps=5)(trained, *tensors)


def convolutional():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, 2, 1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(196, 10)
    ).eval()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_module_on_own_kernels_is_judged_by_itself(trained, tensors, plain):
    pytest.importorskip("onnx")
    before = [p.requires_grad for p in trained.parameters()]
    result = attacked(trained, tensors, native=True)
    assert result.notes == ["native: attacked on gauntlet's own kernels, judged by Sequential"]
    assert abs(result.robust_accuracy - plain.robust_accuracy) <= 0.01 and result.clean_accuracy == plain.clean_accuracy
    with torch.no_grad():
        right = trained(result.x_adv).argmax(1) == tensors[1]
    assert float(right.float().mean()) == pytest.approx(result.robust_accuracy)
    assert [p.requires_grad for p in trained.parameters()] == before and not trained.training
    net = convolutional()
    scaled = dict(mean=[0.1], std=[0.3])
    labels = net((tensors[0] - 0.1) / 0.3).argmax(1)
    images = (tensors[0], labels)
    own, foreign = attacked(net, images, native=True, **scaled), attacked(net, images, **scaled)
    assert own.notes and abs(own.robust_accuracy - foreign.robust_accuracy) <= 0.02


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_cannot_be_exported_or_is_another_function_is_attacked_in_torch(trained, tensors, plain):
    # Half of its gradient is cut, which no graph of its forward knows.
    cut = Wrapped(trained, lambda net, x: net(x) + net(x).detach()).eval()
    result = attacked(cut, tensors, native=True)
    assert "TorchScript: its input gradients differ by 1.0e+00 of the largest" in result.notes[0]
    # An operation that no network of gauntlet's has.
    odd = Wrapped(trained, lambda net, x: net(torch.fft.ifft(torch.fft.fft(x)).real)).eval()
    result = attacked(odd, tensors, native=True)
    assert result.notes[0].startswith("native: Wrapped is attacked in PyTorch, its export is not the same function (TorchScript: ")
    assert "torch.export: " in result.notes[0] and abs(result.robust_accuracy - plain.robust_accuracy) <= 0.01
    with pytest.raises(gauntlet.InputError, match="native is for a torch.nn.Module, got Model"):
        gauntlet.evaluate(gauntlet.Model(lambda x: x), *tensors, eps=0.1, attacks="noise", native=True)
    with pytest.raises(gauntlet.InputError, match="a function cannot be exported"):
        attacked(lambda x: trained(x), tensors, native=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_the_module_disputes_is_attacked_in_torch(trained, tensors, plain, monkeypatch):
    pytest.importorskip("onnx")
    from gauntlet import own_kernels

    import copy

    # A network that is nearly the module, which says otherwise of some images.
    near = copy.deepcopy(trained)
    with torch.no_grad():
        near[3].bias += torch.randn(10, generator=torch.Generator().manual_seed(0)) * 0.5
    made = own_kernels.network_of(TorchModel(near), tensors[0].numpy())[0]
    monkeypatch.setattr(own_kernels, "network_of", lambda adapter, x: (made, []))
    result = attacked(trained, tensors, native=True)
    assert "it says otherwise of " in result.notes[0]
    assert result.clean_accuracy == plain.clean_accuracy
    with torch.no_grad():
        right = (trained(result.x_adv).argmax(1) == tensors[1]).numpy()
        clean = (trained(tensors[0]).argmax(1) == tensors[1]).numpy()
    fates = result.columns()["fate"]
    # Whatever is said to be broken is, and whatever was wrong clean is said to be so.
    assert all(not r for r, fate in zip(right, fates) if fate == "broken")
    assert [fate == "wrong" for fate in fates] == [not c for c in clean]


def test_an_onnx_file_is_a_network(trained, tensors, plain, tmp_path):
    pytest.importorskip("onnx")
    x, y = tensors
    path = tmp_path / "net.onnx"
    torch.onnx.export(trained, (x[:2],), path, dynamo=False, dynamic_axes={"input": {0: "n"}}, input_names=["input"])
    network = gauntlet.network(path)
    assert network.classes == 10 and network.input == (1, 28, 28)
    z = network.logits(x.numpy())
    assert np.abs(z - trained(x).detach().numpy()).max() < 1e-4
    own = gauntlet.evaluate(network, x, y, attacks={"name": "pgd", "steps": 5}, eps="0.03")
    assert abs(own.robust_accuracy - plain.robust_accuracy) <= 0.01


def test_classes_of_robustbench_are_modules(tensors):
    import importlib.util
    import pathlib

    found = importlib.util.find_spec("robustbench")
    if found is None:
        pytest.skip("robustbench is not installed")
    # The file by itself: the package asks for autoattack, data sets and downloads.
    file = pathlib.Path(found.origin).parent / "model_zoo/architectures/resnet.py"
    spec = importlib.util.spec_from_file_location("resnet", file)
    resnet = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(resnet)
    torch.manual_seed(0)
    net = resnet.ResNet18().eval()
    x = torch.rand(4, 3, 32, 32)
    y = net(x).argmax(1)
    result = gauntlet.evaluate(net, x, y, attacks="fgsm", eps="8/255", progress=False)
    assert result.clean_accuracy == 1.0 and result.x_adv.shape == x.shape
