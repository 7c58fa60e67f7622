"""Golden tables of augmentations: augmentations.py FOLDER [--check]. torchvision is asked for its policy and strengths."""
from torchvision.transforms import autoaugment

from golden import store


def auto_augment():
    transform = autoaugment.AutoAugment(autoaugment.AutoAugmentPolicy.CIFAR10)
    space = transform._augmentation_space(10, (32, 32))

    def one(name, probability, step):
        strengths, signed = space[name]
        strength = 0.0 if step is None else float(strengths[step])
        return {"operation": name, "probability": probability, "strength": strength, "signed": signed}

    return [[one(*operation) for operation in pair] for pair in transform.policies]


if __name__ == "__main__":
    store({"augmentations.json": {"auto-augment": auto_augment()}})
