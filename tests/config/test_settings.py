"""What keys of the config mean."""

from vie.config.layouts import title_of
from vie.config.settings import dataset_folder


def test_folders_of_a_dataset(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = {"datasets": {"k": {"videos": ".", "annotations": "lists"}, "made": {}}}
    assert dataset_folder(config, "k", "annotations") == "lists"
    assert dataset_folder(config, "made", "videos") == "resources/made/videos"
    config["roots"] = {"k": "~/k400"}
    assert dataset_folder(config, "k", "videos") == "/home/me/k400"
    assert dataset_folder(config, "k", "annotations") == "/home/me/k400/lists"
    config["datasets"]["k"]["annotations"] = "~/lists"
    assert dataset_folder(config, "k", "annotations") == "/home/me/lists"
    del config["roots"]
    assert dataset_folder(config, "k", "annotations") == "/home/me/lists"


def test_only_the_real_dataset_has_its_title():
    real = {"layout": "ucf101", "official_name": "ucf101"}
    assert title_of("mine", real) == "UCF101"
    assert title_of("ucf101", {"layout": "ucf101", "generator": {}}) == "stand-in for UCF101"
    assert title_of("ucf101", {"layout": "ucf101"}) == "ucf101"
