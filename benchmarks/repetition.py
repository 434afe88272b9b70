"""Images a second through networks that want a clip: repeated first, or as late as possible.

    uv run python benchmarks/repetition.py
    uv run python benchmarks/repetition.py --width 16 --threads 1

Every network of the family sees a batch of images as clips of its own length, in evaluation mode,
without gradients: what a linear probe on frozen features does. In turns: each image repeated before
the network, and seen once up to the first layer in which frames see each other.

    repeated images/s of the first, at the median pass
    once     images/s of the second
    ratio    once over repeated: what is saved, whatever the machine
"""

import argparse
import statistics
import time

import torch

from vie.config.clip_frames import CLIPS
from vie.models.encoders import build_encoder
from vie.models.resnet import channels_last
from vie.models.trunks import repeated
from vie.runtime.threads import use_threads

# Network -> the clip whose length it sees, and pixels of its input.
SHOWN = {
    "single": ("slow", 224),
    "trn": ("trn", 224),
    "slow": ("slow", 224),
    "slowfast": ("slowfast", 224),
    "3dresnet": ("3dresnet", 112),
}


def main() -> None:
    """Print one line for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    use_threads(asked.threads, 0)
    print(f"{'network':>10}{'frames':>8}{'repeated':>10}{'once':>10}{'ratio':>8}")
    for network, (clip, size) in SHOWN.items():
        trunk = (
            channels_last(build_encoder({"network": network, "width": asked.width})).eval().trunk
        )
        frames, images = int(CLIPS[clip]["frames"]), torch.randn(asked.batch, 3, 1, size, size)
        seconds: dict[bool, list[float]] = {False: [], True: []}
        with torch.no_grad():
            for _ in range(asked.passes):
                for once, times in seconds.items():
                    start = time.perf_counter()
                    if once:
                        repeated(trunk, images, frames)
                    else:
                        trunk(images.expand(-1, -1, frames, -1, -1))
                    times.append(time.perf_counter() - start)
        whole, saving = (asked.batch / statistics.median(seconds[once]) for once in (False, True))
        print(f"{network:>10}{frames:8}{whole:10.1f}{saving:10.1f}{saving / whole:8.2f}")


if __name__ == "__main__":
    main()
