"""Emoji in the drawings of eleven vendors: real, mid-sized and hard, from packages that a registry delivers."""

from mlbench.data.emoji.dataset import Emoji as Emoji
