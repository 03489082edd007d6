"""Architectures, each as its paper describes it."""

from deeplite.models.lenet import LeNet5

__all__ = ["LeNet5"]
