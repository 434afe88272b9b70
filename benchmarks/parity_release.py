"""What the authors' release computes from given weights and tensors: the other half of `parity.py`.

    PYTHON benchmarks/parity_release.py VIE FOLDER

VIE is a checkout of github.com/neuroailab/VIE, PYTHON an interpreter with numpy and TensorFlow 1.15
(or 2 up to 2.15, through tf.compat.v1); nothing of `vie` is imported. Reads FOLDER/*.given.npz,
builds the release's graph for each, and writes FOLDER/*.found.npz. All of it runs on the CPU, so
channels are last. TensorFlow 1.15 runs on Python 3.7 and older, so this file does too.

Weights are given as "weight000", "weight001", ... in the order in which the graph makes its
variables, and laid out as there.
"""

import contextlib
import os
import sys
import types
from pathlib import Path

import numpy as np

LAYERS = {"conv3": 5, "conv4": 7, "conv5": 9}  # places among what a network records in its graph
EMBEDDING = 128
STEPS = 2  # of training: the second one has momentum


class Replaced:
    """A module with some of its attributes replaced."""

    def __init__(self, module, **attributes):
        self.module = module
        self.__dict__.update(attributes)

    def __getattr__(self, name):
        return getattr(self.module, name)


class Release:
    """The release's modules, and a graph and session for each case."""

    def __init__(self, folder):
        self.tf = legacy_tensorflow()
        sys.path.insert(0, str(folder / "tf_model"))
        for name in ("faiss", "config", "data"):  # imported, but not used here
            sys.modules[name] = types.ModuleType(name)
        import train_vie
        from model import (
            instance_model,
            opn_model,
            resnet3D_model,
            resnet_model,
            resnet_model_slowfast,
            rot_model,
        )

        self.training, self.instance = train_vie, instance_model
        self.opn, self.rotation = opn_model, rot_model
        self.plain, self.slowfast, self.volumes = (
            resnet_model,
            resnet_model_slowfast,
            resnet3D_model,
        )
        no_gpu = types.SimpleNamespace(is_built_with_cuda=lambda: False)
        for module in (resnet_model, resnet_model_slowfast, resnet3D_model):
            module.tf = Replaced(self.tf, test=no_gpu)
        self._readout = instance_model.get_resnet_all_layers
        instance_model.get_resnet_all_layers = self.readout

    def readout(self, recorded, names):
        """The release's readout, which is for channels that come first."""
        first = {4: (0, 3, 1, 2), 5: (0, 4, 1, 2, 3)}
        maps = [self.tf.transpose(each, first[len(each.shape)]) for each in recorded]
        return self._readout(maps, names)

    def recorded(self, model_type):
        """What the network built last has recorded, layer by layer."""
        if model_type in ("single_frame", "tsrn"):
            return self.plain.ENDING_POINTS
        return (self.volumes if model_type == "3dresnet" else self.slowfast).ENDING_POINTS

    @contextlib.contextmanager
    def noise(self, indices):
        """The release's own draws of noise are replaced by `indices`, an int64 tensor."""

        def random_uniform(*args, **settings):
            if settings.get("dtype") == self.tf.int64:
                return indices
            return self.tf.random_uniform(*args, **settings)

        self.instance.tf = Replaced(self.tf, random_uniform=random_uniform)
        yield
        self.instance.tf = self.tf

    def constant(self, array):
        """An array in the graph, fed rather than stored in it."""
        return self.tf.placeholder_with_default(array, array.shape)

    def session(self, given):
        """A session in which the network's variables hold the given weights."""
        session = self.tf.Session()
        session.run(self.tf.global_variables_initializer())
        arrays = [given[name] for name in sorted(given.files) if name.startswith("weight")]
        variables = network_variables(self.tf)
        shapes = [tuple(variable.shape.as_list()) for variable in variables]
        if shapes != [array.shape for array in arrays]:
            sys.exit(
                f"the graph has {len(shapes)} variables, {len(arrays)} are given, or their shapes "
                "are others"
            )
        for variable, array in zip(variables, arrays):  # noqa: B905  # as many, see above
            variable.load(array, session)
        return session


def legacy_tensorflow():
    """TensorFlow 1, or what a TensorFlow 2 has of it, under its name."""
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow

    if tensorflow.__version__.startswith("1."):
        return tensorflow
    tf = tensorflow.compat.v1
    tf.disable_v2_behavior()
    tf.layers.conv2d, tf.train.MomentumOptimizer  # noqa: B018  # found lazily, by the old name
    sys.modules["tensorflow"] = tf
    return tf


def network_variables(tf):
    """Variables of the networks and their heads in the order in which the graph made them."""
    every = tf.global_variables()
    return [v for v in every if v.name.startswith("resnet_model") and "Momentum" not in v.name]


def numbered(name, arrays):
    """{"weight000": the first, ...}."""
    return {f"{name}{i:03d}": array for i, array in enumerate(arrays)}


def shown(clip, model_type):
    """(B, T, H, W, 3), or (B, H, W, 3) for the network of single frames."""
    return clip[:, 0] if model_type == "single_frame" else clip


def network(release, given):
    """Conv3 to Conv5, their readouts, and the embedding, in inference mode."""
    tf, model_type, clip = release.tf, str(given["model_type"]), given["clip"]
    image = release.constant(shown(clip, model_type))
    embedding = release.instance.resnet_embedding(image, train=False, model_type=model_type)
    tensors = {"embedding": tf.nn.l2_normalize(embedding, axis=1)}
    recorded = release.recorded(model_type)
    averaged = "-time-avg" if model_type == "tsrn" else ""
    names = {layer: f"{place}{averaged}" for layer, place in LAYERS.items()}
    readouts = release.readout(recorded[:10], ",".join(names.values()))
    for layer, place in LAYERS.items():
        size = recorded[place].shape.as_list()[-3:]
        # (B * T, H, W, C) of networks of frames, (B, T, H, W, C) of others
        tensors[layer] = tf.reshape(recorded[place], [len(clip), -1, *size])
        tensors[f"{layer} readout"] = readouts[names[layer]]
    return release.session(given).run(tensors)


def two_pathway(release, given):
    """The readouts of Single and SlowFast side by side."""
    names = ",".join(map(str, LAYERS.values()))
    readouts = release.instance.resnet_embedding(
        release.constant(given["clip"]),
        train=False,
        model_type="slowfastsingle_avg",
        get_all_layers=names,
    )
    tensors = {f"{layer} readout": readouts[str(place)] for layer, place in LAYERS.items()}
    return release.session(given).run(tensors)


def instance_model(release, given):
    """The release's losses of given embeddings and a given bank."""
    tf = release.tf
    with tf.variable_scope("instance"):
        bank = release.instance.MemoryBank(*given["bank"].shape)
    embedding = release.constant(given["embedding"])
    model = release.instance.InstanceModel(
        inputs={"index": release.constant(given["instances"])},
        output=embedding,
        memory_bank=bank,
        instance_k=int(given["count"]),
        instance_t=float(given["temperature"]),
    )
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    bank.as_tensor().load(given["bank"], session)
    return model, embedding, session


def instance_recognition(release, given):
    """Loss and gradient with respect to the embedding; the noise is given."""
    model, embedding, session = instance_model(release, given)
    own = model.compute_data_prob(release.instance.get_selfloss(model.memory_bank))
    with release.noise(release.constant(given["noise"])):
        loss = model.get_losses(own, model.compute_noise_prob())[0]
    return session.run({"loss": loss, "gradient": release.tf.gradients(loss, embedding)[0]})


def local_aggregation(release, given):
    """Loss and gradient with respect to the embedding; the clusters are given."""
    model, embedding, session = instance_model(release, given)
    loss = model.get_cluster_classification_loss(release.constant(given["labels"]))[0]
    return session.run({"loss": loss, "gradient": release.tf.gradients(loss, embedding)[0]})


def memory_bank(release, given):
    """The rows that a step writes into the bank."""
    model, _, session = instance_model(release, given)
    return session.run({"rows": model.updated_new_data_memory()})


def neighbours(release, given):
    """Whether the nearest neighbours of each video's clips say its class, video by video."""
    tf, (V, C, _) = release.tf, given["queries"].shape
    queries, classes = (release.constant(given[name][:1]) for name in ("queries", "classes"))
    similarity = tf.matmul(queries[0], given["bank"], transpose_b=True)
    right = release.training.valid_perf_func_kNN(
        {"label": classes},
        [similarity, release.constant(given["labels"])],
        instance_t=float(given["temperature"]),
        k=int(given["count"]),
        test_no_frames=C,
        num_classes=int(given["labels"].max()) + 1,
    )
    [right] = right.values()
    with tf.Session() as session:
        each = ((given["queries"][v : v + 1], given["classes"][v : v + 1]) for v in range(V))
        found = [session.run(right, {queries: clips, classes: label}) for clips, label in each]
    return {"right": np.array(found)}


def order_prediction(release, given):
    """Loss, accuracy and gradient of OPN; and its orders, class by class."""
    tf = release.tf
    with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        found, _ = release.opn.build_loss_accuracy(
            {"image": release.constant(given["clip"])}, False
        )
    pair = network_variables(tf)[-4]  # before its bias and the head's two
    tensors = {**found, "pair gradient": tf.gradients(found["loss"], pair)[0]}
    return {**release.session(given).run(tensors), "orders": np.array(release.opn.ALL_ORDERS)}


def rotation(release, given):
    """Logits, loss and accuracy of 3DRotNet."""
    found, _ = release.rotation.build_loss_accuracy(
        {"image": release.constant(given["clip"])}, False
    )
    logits = release.tf.get_default_graph().get_tensor_by_name("resnet_model/final_dense_2:0")
    return release.session(given).run({**found, "logits": logits})


def supervised(release, given):
    """Loss of the network that is trained with labels, with the batch's statistics."""
    model_type = str(given["model_type"])
    inputs = {"image": shown(given["clip"], model_type), "label": given["classes"]}
    inputs = {name: release.constant(array) for name, array in inputs.items()}
    found = release.instance.build_output(
        inputs, True, model_type=model_type, task="SUP", num_classes=int(given["count"])
    )
    return release.session(given).run({"loss": found[0]["loss"]})


def training(release, given):
    """Steps of instance recognition: losses, first gradient, weights and bank afterwards."""
    tf, model_type = release.tf, str(given["model_type"])
    clip, instances = shown(given["clip"], model_type), given["instances"]
    noise = release.constant(given["noise"][0])
    inputs = {"image": release.constant(clip), "index": release.constant(instances)}
    with release.noise(noise):
        found = release.instance.build_output(
            inputs,
            True,
            model_type=model_type,
            task="IR",
            instance_data_len=len(given["bank"]),
            instance_k=noise.shape.as_list()[1],
        )[0]
    trained = [v for v in network_variables(tf) if v in tf.trainable_variables()]
    gradients = tf.gradients(found["loss"], trained)
    whole = release.training.reg_loss(found["loss"], float(given["decay"]))
    optimizer = tf.train.MomentumOptimizer(float(given["rate"]), momentum=0.9)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        step = optimizer.minimize(whole)
    session = release.session(given)
    bank = found["memory_bank"]
    bank.load(given["bank"], session)
    result, losses = {}, []
    # By itself: in one run with the step, it could read weights that the step has changed.
    first = session.run(gradients)
    result.update(numbered("gradient", first))
    for number in range(STEPS):
        wanted = [found["loss"], found["new_data_memory"], step]
        loss, rows, _ = session.run(wanted, {noise: given["noise"][number]})
        losses.append(loss)
        array = session.run(bank)
        array[instances] = rows
        bank.load(array, session)
    result.update(numbered("weight", session.run(network_variables(tf))))
    return {**result, "loss": np.array(losses), "rows": rows}


CASES = {
    "network": network,
    "two_pathway": two_pathway,
    "instance_recognition": instance_recognition,
    "local_aggregation": local_aggregation,
    "memory_bank": memory_bank,
    "neighbours": neighbours,
    "order_prediction": order_prediction,
    "rotation": rotation,
    "supervised": supervised,
    "training": training,
}


def main():
    """Answer every file."""
    release, folder = Release(Path(sys.argv[1])), Path(sys.argv[2])
    print(f"TensorFlow {release.tf.VERSION}")
    for path in sorted(folder.glob("*.given.npz")):
        given = np.load(path)
        with release.tf.Graph().as_default():
            found = CASES[str(given["case"])](release, given)
        np.savez(str(path).replace(".given.", ".found."), **found)


if __name__ == "__main__":
    main()
