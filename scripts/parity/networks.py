"""The architectures as PyTorch modules, with the parameter names that gauntlet's checkpoints carry."""
import torch
from torch import nn
import torch.nn.functional as F

ACTIVATIONS = {
    "relu": nn.ReLU, "softplus": nn.Softplus, "gelu": nn.GELU, "silu": nn.SiLU, "leaky-relu": nn.LeakyReLU, "elu": nn.ELU,
    "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
}


def linear(act):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def mlp(act):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 1024), act(), nn.Linear(1024, 10))


def lenet_small(act):
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1), act(), nn.Conv2d(16, 32, 4, stride=2, padding=1), act(),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 100), act(), nn.Linear(100, 10),
    )


def cnn4(act):
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), act(), nn.Flatten(), nn.Linear(4 * 32 * 32, 10))


class MadryCnn(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.fc1, self.fc2, self.act = nn.Linear(64 * 7 * 7, 1024), nn.Linear(1024, 10), act()

    def forward(self, x):
        x = F.max_pool2d(self.act(self.conv1(x)), 2)
        x = F.max_pool2d(self.act(self.conv2(x)), 2)
        return self.fc2(self.act(self.fc1(x.flatten(1))))


class SmallCnn(nn.Module):
    """Dropout left out: parity is taken in eval mode."""

    def __init__(self, act):
        super().__init__()
        self.feature_extractor = nn.ModuleDict({
            "conv1": nn.Conv2d(1, 32, 3), "conv2": nn.Conv2d(32, 32, 3),
            "conv3": nn.Conv2d(32, 64, 3), "conv4": nn.Conv2d(64, 64, 3),
        })
        self.classifier = nn.ModuleDict({
            "fc1": nn.Linear(64 * 4 * 4, 200), "fc2": nn.Linear(200, 200), "fc3": nn.Linear(200, 10),
        })
        self.act = act()

    def forward(self, x):
        f, c, act = self.feature_extractor, self.classifier, self.act
        x = F.max_pool2d(act(f["conv2"](act(f["conv1"](x)))), 2)
        x = F.max_pool2d(act(f["conv4"](act(f["conv3"](x)))), 2)
        return c["fc3"](act(c["fc2"](act(c["fc1"](x.flatten(1))))))


class Block(nn.Module):
    """A 1×1 shortcut reads the block's input, or where `activated` what the first convolution reads."""

    def __init__(self, cin, cout, stride, act, activated):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(cin), nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(cout), nn.Conv2d(cout, cout, 3, padding=1, bias=False)
        self.act, self.activated = act, activated
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, stride=stride, bias=False))

    def forward(self, x):
        active = self.act(self.bn1(x))
        shortcut = self.shortcut(active if self.activated else x) if hasattr(self, "shortcut") else x
        return self.conv2(self.act(self.bn2(self.conv1(active)))) + shortcut


class PreActResNet18(nn.Module):
    def __init__(self, act, activated=False, final_norm=True):
        super().__init__()
        self.act = act()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        for i, (cin, cout, stride) in enumerate(widths, 1):
            blocks = nn.Sequential(Block(cin, cout, stride, self.act, activated), Block(cout, cout, 1, self.act, activated))
            setattr(self, f"layer{i}", blocks)
        if final_norm:
            self.bn = nn.BatchNorm2d(512)
        self.linear = nn.Linear(512, 10)

    def forward(self, x):
        y = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        y = self.act(self.bn(y)) if hasattr(self, "bn") else y
        return self.linear(y.mean((2, 3)))


def same(conv, x):
    """A 3×3 convolution padded as TensorFlow's SAME pads an even image."""
    return conv(F.pad(x, (1, 1, 1, 1) if conv.stride == (1, 1) else (0, 1, 0, 1)))


class DeepMindPreActBlock(nn.Module):
    def __init__(self, cin, cout, stride, act):
        super().__init__()
        self.batchnorm_0, self.conv_2d_1 = nn.BatchNorm2d(cin), nn.Conv2d(cin, cout, 3, stride=stride, bias=False)
        self.batchnorm_1, self.conv_2d_2 = nn.BatchNorm2d(cout), nn.Conv2d(cout, cout, 3, bias=False)
        self.act = act
        if stride != 1 or cin != cout:
            self.shortcut = nn.Conv2d(cin, cout, 3, stride=stride, bias=False)

    def forward(self, x):
        y = same(self.conv_2d_1, self.act(self.batchnorm_0(x)))
        y = same(self.conv_2d_2, self.act(self.batchnorm_1(y)))
        return y + (same(self.shortcut, x) if hasattr(self, "shortcut") else x)


class DeepMindPreActResNet18(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.act, self.conv_2d = act(), nn.Conv2d(3, 64, 3, padding=1, bias=False)
        for i, (cin, cout, stride) in enumerate([(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]):
            blocks = [DeepMindPreActBlock(cin, cout, stride, self.act), DeepMindPreActBlock(cout, cout, 1, self.act)]
            setattr(self, f"layer_{i}", nn.Sequential(*blocks))
        self.batchnorm, self.logits = nn.BatchNorm2d(512), nn.Linear(512, 10)

    def forward(self, x):
        y = self.layer_3(self.layer_2(self.layer_1(self.layer_0(self.conv_2d(x)))))
        return self.logits(self.act(self.batchnorm(y)).mean((2, 3)))


class WideBlock(nn.Module):
    def __init__(self, cin, cout, stride, act):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(cin), nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(cout), nn.Conv2d(cout, cout, 3, padding=1, bias=False)
        self.act = act
        if cin != cout:
            self.convShortcut = nn.Conv2d(cin, cout, 1, stride=stride, bias=False)

    def forward(self, x):
        active = self.act(self.bn1(x))
        shortcut = self.convShortcut(active) if hasattr(self, "convShortcut") else x
        return self.conv2(self.act(self.bn2(self.conv1(active)))) + shortcut


class WideGroup(nn.Module):
    def __init__(self, n, cin, cout, stride, act):
        super().__init__()
        self.layer = nn.Sequential(*(WideBlock(cin if i == 0 else cout, cout, stride if i == 0 else 1, act) for i in range(n)))

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self, act, depth, width):
        super().__init__()
        self.act, n, k = act(), (depth - 4) // 6, width
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.block1 = WideGroup(n, 16, 16 * k, 1, self.act)
        self.block2 = WideGroup(n, 16 * k, 32 * k, 2, self.act)
        self.block3 = WideGroup(n, 32 * k, 64 * k, 2, self.act)
        self.bn1, self.fc = nn.BatchNorm2d(64 * k), nn.Linear(64 * k, 10)

    def forward(self, x):
        y = self.block3(self.block2(self.block1(self.conv1(x))))
        y = F.avg_pool2d(self.act(self.bn1(y)), 8)
        return self.fc(y.flatten(1))


class DeepMindWideBlock(nn.Module):
    def __init__(self, cin, cout, stride, act):
        super().__init__()
        self.batchnorm_0, self.conv_0 = nn.BatchNorm2d(cin), nn.Conv2d(cin, cout, 3, stride=stride, bias=False)
        self.batchnorm_1, self.conv_1 = nn.BatchNorm2d(cout), nn.Conv2d(cout, cout, 3, bias=False)
        self.act = act
        if cin != cout:
            self.shortcut = nn.Conv2d(cin, cout, 1, stride=stride, bias=False)

    def forward(self, x):
        active = self.act(self.batchnorm_0(x))
        y = same(self.conv_1, self.act(self.batchnorm_1(same(self.conv_0, active))))
        return y + (self.shortcut(active) if hasattr(self, "shortcut") else x)


class DeepMindWideGroup(nn.Module):
    def __init__(self, n, cin, cout, stride, act):
        super().__init__()
        blocks = (DeepMindWideBlock(cin if i == 0 else cout, cout, stride if i == 0 else 1, act) for i in range(n))
        self.block = nn.Sequential(*blocks)

    def forward(self, x):
        return self.block(x)


class DeepMindWideResNet(nn.Module):
    def __init__(self, act, depth, width):
        super().__init__()
        self.act, n, k = act(), (depth - 4) // 6, width
        self.init_conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        widths = [(16, 16 * k, 1), (16 * k, 32 * k, 2), (32 * k, 64 * k, 2)]
        self.layer = nn.Sequential(*(DeepMindWideGroup(n, a, b, s, self.act) for a, b, s in widths))
        self.batchnorm, self.logits = nn.BatchNorm2d(64 * k), nn.Linear(64 * k, 10)

    def forward(self, x):
        return self.logits(self.act(self.batchnorm(self.layer(self.init_conv(x)))).mean((2, 3)))


class HuangWideResNet(nn.Module):
    """Widths of its own for every group."""

    def __init__(self, act, depth, widths):
        super().__init__()
        self.act, n = act(), (depth - 4) // 6
        self.stem_conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        pairs = zip([16, *widths], widths, [1, 2, 2])
        self.blocks = nn.ModuleList(WideGroup(n, a, b, stride, self.act) for a, b, stride in pairs)
        self.bn1, self.fc = nn.BatchNorm2d(widths[-1]), nn.Linear(widths[-1], 10)

    def forward(self, x):
        y = self.stem_conv(x)
        for block in self.blocks:
            y = block(y)
        return self.fc(self.act(self.bn1(y)).mean((2, 3)))


class Residual(nn.Module):
    """A basic block, or a bottleneck of four times the channels."""

    def __init__(self, cin, planes, stride, act, wide, torchvision):
        super().__init__()
        cout = 4 * planes if wide else planes
        kernels = [(cin, planes, 1, 1), (planes, planes, 3, stride), (planes, cout, 1, 1)] if wide else [
            (cin, planes, 3, stride), (planes, planes, 3, 1)]
        self.depth, self.act = len(kernels), act
        for i, (a, b, size, step) in enumerate(kernels, 1):
            setattr(self, f"conv{i}", nn.Conv2d(a, b, size, stride=step, padding=size // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.project = "downsample" if torchvision else "shortcut"
        if stride != 1 or cin != cout:
            projected = nn.Sequential(nn.Conv2d(cin, cout, 1, stride=stride, bias=False), nn.BatchNorm2d(cout))
            setattr(self, self.project, projected)

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = self.act(y) if i < self.depth else y
        return self.act(y + (getattr(self, self.project)(x) if hasattr(self, self.project) else x))


class ResNet(nn.Module):
    """With the stem for small images and CIFAR's names, or `large` and torchvision's."""

    def __init__(self, act, counts, wide, width, large=False, torchvision=False):
        super().__init__()
        self.act, self.large, self.last = act(), large, "fc" if torchvision else "linear"
        size, stride = (7, 2) if large else (3, 1)
        self.conv1 = nn.Conv2d(3, width, size, stride=stride, padding=size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        cin = width
        for stage, count in enumerate(counts):
            blocks = []
            for i in range(count):
                blocks.append(Residual(cin, width << stage, 2 if stage and not i else 1, self.act, wide, torchvision))
                cin = (width << stage) * (4 if wide else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        setattr(self, self.last, nn.Linear(cin, 10))

    def forward(self, x):
        y = self.act(self.bn1(self.conv1(x)))
        y = F.max_pool2d(y, 3, stride=2, padding=1) if self.large else y
        y = self.layer4(self.layer3(self.layer2(self.layer1(y))))
        return getattr(self, self.last)(y.mean((2, 3)))


class NextBlock(nn.Module):
    """A bottleneck whose 3×3 convolution is split into groups."""

    def __init__(self, cin, inner, cout, stride, groups, act):
        super().__init__()
        self.conv_reduce, self.bn_reduce = nn.Conv2d(cin, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv_conv = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(inner)
        self.conv_expand, self.bn_expand = nn.Conv2d(inner, cout, 1, bias=False), nn.BatchNorm2d(cout)
        self.act = act
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride=stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.act(self.bn_reduce(self.conv_reduce(x)))
        y = self.bn_expand(self.conv_expand(self.act(self.bn(self.conv_conv(y)))))
        return self.act(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNeXt29(nn.Module):
    def __init__(self, act, cardinality, base):
        super().__init__()
        self.act = act()
        self.conv_1_3x3, self.bn_1 = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        cin = 64
        for stage in range(3):
            blocks, cout = [], 256 << stage
            for i in range(3):
                stride = 2 if stage and not i else 1
                blocks.append(NextBlock(cin, cardinality * (base << stage), cout, stride, cardinality, self.act))
                cin = cout
            setattr(self, f"stage_{stage + 1}", nn.Sequential(*blocks))
        self.classifier = nn.Linear(cin, 10)

    def forward(self, x):
        y = self.stage_3(self.stage_2(self.stage_1(self.act(self.bn_1(self.conv_1_3x3(x))))))
        return self.classifier(y.mean((2, 3)))


class DenseLayer(nn.Module):
    def __init__(self, cin, growth, act):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(cin), nn.Conv2d(cin, 4 * growth, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.act = act

    def forward(self, x):
        return torch.cat([self.conv2(self.act(self.bn2(self.conv1(self.act(self.bn1(x)))))), x], 1)


class Transition(nn.Module):
    def __init__(self, cin, cout, act):
        super().__init__()
        self.bn, self.conv, self.act = nn.BatchNorm2d(cin), nn.Conv2d(cin, cout, 1, bias=False), act

    def forward(self, x):
        return F.avg_pool2d(self.conv(self.act(self.bn(x))), 2)


class DenseNet121(nn.Module):
    def __init__(self, act, growth):
        super().__init__()
        self.act, channels = act(), 2 * growth
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        for block, count in enumerate([6, 12, 24, 16], 1):
            layers = nn.Sequential(*(DenseLayer(channels + i * growth, growth, self.act) for i in range(count)))
            setattr(self, f"dense{block}", layers)
            channels += count * growth
            if block < 4:
                setattr(self, f"trans{block}", Transition(channels, channels // 2, self.act))
                channels //= 2
        self.bn, self.linear = nn.BatchNorm2d(channels), nn.Linear(channels, 10)

    def forward(self, x):
        y = self.conv1(x)
        for block in range(1, 5):
            y = getattr(self, f"dense{block}")(y)
            y = getattr(self, f"trans{block}")(y) if block < 4 else y
        return self.linear(self.act(self.bn(y)).mean((2, 3)))


def torchvision_densenet(act, growth):
    """The library's own, whose activation is a rectifier."""
    from torchvision.models import DenseNet
    assert act is nn.ReLU, "torchvision's densenet has rectifiers"
    net = DenseNet(growth_rate=growth, block_config=(6, 12, 24, 16), num_init_features=2 * growth, num_classes=10)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return net


class Vgg(nn.Module):
    def __init__(self, act, counts):
        super().__init__()
        layers, cin = [], 3
        for count, cout in zip(counts, [64, 128, 256, 512, 512]):
            for _ in range(count):
                layers += [nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout), act()]
                cin = cout
            layers.append(nn.MaxPool2d(2))
        self.features, self.classifier = nn.Sequential(*layers), nn.Linear(512, 10)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def cnn7(act, width, hidden):
    layers, cin = [], 3
    for cout, stride in [(width, 1), (width, 1), (2 * width, 2), (2 * width, 1), (2 * width, 1)]:
        layers += [nn.Conv2d(cin, cout, 3, stride=stride, padding=1), nn.BatchNorm2d(cout), act()]
        cin = cout
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 16 * cin, hidden), nn.BatchNorm1d(hidden), act(),
                         nn.Linear(hidden, 10))


BUILD = {
    "linear": linear, "mlp": mlp, "lenet-small": lenet_small, "cnn4": cnn4, "madry-cnn": MadryCnn, "trades-smallcnn": SmallCnn,
    "preactresnet18": PreActResNet18, "preactresnet18-activation": lambda act: PreActResNet18(act, activated=True),
    "wideresnet-16-2": lambda act: WideResNet(act, 16, 2),
    "resnet18-8": lambda act: ResNet(act, [2, 2, 2, 2], False, 8), "resnet34-8": lambda act: ResNet(act, [3, 4, 6, 3], False, 8),
    "resnet50-8": lambda act: ResNet(act, [3, 4, 6, 3], True, 8),
    "vgg11-bn": lambda act: Vgg(act, [1, 1, 2, 2, 2]), "vgg16-bn": lambda act: Vgg(act, [2, 2, 3, 3, 3]),
    "cnn7-8-64": lambda act: cnn7(act, 8, 64),
    "preactresnet18-plain": lambda act: PreActResNet18(act, final_norm=False), "preactresnet18-deepmind": DeepMindPreActResNet18,
    "wideresnet-deepmind-16-2": lambda act: DeepMindWideResNet(act, 16, 2),
    "wideresnet-huang-10": lambda act: HuangWideResNet(act, 10, [24, 48, 32]),
    "resnet18-torchvision-8": lambda act: ResNet(act, [2, 2, 2, 2], False, 8, True, True),
    "resnet34-torchvision-8": lambda act: ResNet(act, [3, 4, 6, 3], False, 8, True, True),
    "resnet50-torchvision-8": lambda act: ResNet(act, [3, 4, 6, 3], True, 8, True, True),
    "resnet18-names-8": lambda act: ResNet(act, [2, 2, 2, 2], False, 8, False, True),
    "resnext29-2-4": lambda act: ResNeXt29(act, 2, 4), "densenet121-4": lambda act: DenseNet121(act, 4),
    "densenet121-torchvision-4": lambda act: torchvision_densenet(act, 4),
}


def build(name, activation):
    return BUILD[name](ACTIVATIONS[activation])
