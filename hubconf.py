"""Networks for `torch.hub`, from a clone of this project that need not be installed.

encoder = torch.hub.load("path/of/the/clone", "vie", source="local", weights="vie_slow.pt")
embedding, features = encoder(clips)
"""

dependencies = ["torch", "numpy"]


def vie(weights, trust=False):
    """The encoder in a file of this project.

    Args:
        weights: path of an encoder or of a checkpoint of pretraining (.pt), or of what
            `vie.export --to safetensors` wrote, or the name of a network that comes with vie.
        trust: whether a network that is not part of this project may be imported, which runs its
            code.

    Returns:
        A torch.nn.Module in evaluation mode, on the CPU. It takes normalised clips
        (B, 3, T, H, W), float32, as its `input` says, and returns the embedding (B, D), of unit
        length, and a dict of features, among them conv3, conv4 and conv5, each (B, C, T', H', W').
        `metadata` says how it was trained.

    Raises:
        VieError: the file is damaged, holds no encoder, or names foreign code.
    """
    from vie.models.checkpoint_format import load_encoder

    return load_encoder(weights, trust=trust)
