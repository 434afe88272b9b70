"""Numbers that stay as they are while results stay as they are.

`uv run pytest tests/golden --record` writes them anew where a version went up.
"""

import pytest

from tests.golden.groups import FOLDER, GROUPS, differences, load, measure, record, versions

SHOWN = 8  # differences in a message


def problem(name: str, recorded: dict, found: dict) -> str:
    """What is wrong with the numbers found, in words; nothing if they are those recorded."""
    group, now = GROUPS[name], versions(GROUPS[name])
    bumped = {
        kind: number for kind, number in now.items() if recorded["versions"].get(kind) != number
    }
    if bumped:
        return (
            f"{name}.json was recorded for versions {recorded['versions']}, VERSIONS now has "
            f"{bumped}: run `uv run pytest tests/golden --record` and commit the file"
        )
    lines = differences(recorded["numbers"], found, group)
    if not lines:
        return ""
    more = f"\n  and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return (
        f"the numbers of {name} changed, so results of {', '.join(group.kinds)} change:\n  "
        + "\n  ".join(lines[:SHOWN])
        + more
        + "\nIf that is meant, raise the number of the kind that changed in VERSIONS "
        "(vie/workflow/versions.py), with a line that says what changed; its results are then made "
        "again. Record the numbers with `uv run pytest tests/golden --record`. If no result can "
        "have changed, show why, and delete the JSON file before recording."
    )


@pytest.mark.parametrize("name", GROUPS)
def test_numbers_are_those_recorded(name, tmp_path, request):
    found = measure(name, tmp_path)
    if request.config.getoption("--record"):
        path = FOLDER / f"{name}.json"
        if path.exists():
            recorded = load(name)
            if recorded["versions"] == versions(GROUPS[name]) and (
                wrong := problem(name, recorded, found)
            ):
                pytest.fail(f"not recorded: {wrong}", pytrace=False)
            if recorded["versions"] == versions(GROUPS[name]):
                return
        record(name, found)
        return
    if wrong := problem(name, load(name), found):
        pytest.fail(wrong, pytrace=False)


def test_every_file_is_of_a_group():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(GROUPS)


def test_a_version_that_went_up_has_to_be_recorded():
    recorded = load("tables")
    assert not problem("tables", recorded, recorded["numbers"])
    earlier = {"versions": {"tables": 0}, "numbers": recorded["numbers"]}
    assert "--record" in problem("tables", earlier, recorded["numbers"])


def test_the_message_says_what_to_do():
    recorded = load("tables")
    changed = recorded["numbers"] | {"one seed": [0.5, 0.1]}
    text = problem("tables", recorded, changed)
    assert "one seed[0]: " in text
    assert "VERSIONS" in text
    assert "--record" in text
