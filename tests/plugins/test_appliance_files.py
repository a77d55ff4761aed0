"""What appliance_files writes, what it leaves alone, and what it refuses before anything was written."""

import grp
import hashlib
import importlib.util
import json
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
MODULE = PLUGINS / "modules/appliance_files.py"
spec = importlib.util.spec_from_file_location("appliance_files_action", PLUGINS / "action/appliance_files.py")
action = importlib.util.module_from_spec(spec)
spec.loader.exec_module(action)
ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


def apply(*files, check=False, umask=-1, **common):
    """Run the module as Ansible would, by default with the umask of the tests, and return its answer."""
    with tempfile.TemporaryDirectory() as elsewhere:
        arguments = {"files": files, "record": f"{elsewhere}/files.json", **ME, **common, "_ansible_check_mode": check}
        done = subprocess.run(  # noqa: S603
            [sys.executable, MODULE],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            capture_output=True,
            text=True,
            check=False,
            umask=umask,
        )
    return json.loads(done.stdout)


def mode(path):
    return f"{path.lstat().st_mode & 0o7777:04o}"


def test_a_file_is_written_with_its_directories_and_not_again(tmp_path):
    file = tmp_path / "a/b/file.conf"
    assert apply({"path": str(file), "content": "x\n"}, umask=0o077)["paths"] == [str(file)]  # as root's may be
    assert (file.read_text(), mode(file)) == ("x\n", "0644")
    assert {mode(above) for above in (tmp_path / "a", file.parent)} == {"0755"}
    before = file.stat()
    assert apply({"path": str(file), "content": "x\n"})["changed"] is False
    assert file.stat() == before


def test_another_content_replaces_the_file_as_a_whole(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    inode = file.stat().st_ino
    answer = apply({"path": str(file), "content": "new", "mode": "0600"})
    assert (file.read_text(), mode(file)) == ("new", "0600")
    assert file.stat().st_ino != inode
    assert answer["diff"][0]["before"] == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_mode_alone_is_a_change(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(0o666)
    assert apply({"path": str(file), "content": "x"})["paths"] == [str(file)]
    assert mode(file) == "0644"


def test_the_mode_of_all_is_that_of_files_not_of_directories(tmp_path):
    apply({"path": f"{tmp_path}/d/"}, {"path": f"{tmp_path}/d/f", "content": ""}, mode="0640")
    assert (mode(tmp_path / "d"), mode(tmp_path / "d/f")) == ("0755", "0640")


def test_a_link_points_where_it_should_and_replaces_a_file(tmp_path):
    link = tmp_path / "link"
    link.write_text("in the way")
    assert apply({"path": str(link), "link": "nowhere"})["changed"] is True
    assert link.readlink() == Path("nowhere")
    assert apply({"path": str(link), "link": "nowhere"})["changed"] is False


def test_a_file_in_the_place_of_a_link_leaves_its_target_alone(tmp_path):
    target, file = tmp_path / "target", tmp_path / "file"
    target.write_text("theirs")
    file.symlink_to(target)
    apply({"path": str(file), "content": "ours"})
    assert (file.is_symlink(), file.read_text(), target.read_text()) == (False, "ours", "theirs")


def test_a_seed_is_written_once_and_left_alone_from_then_on(tmp_path):
    seed = {"path": f"{tmp_path}/seed", "content": "first", "seed": True}
    assert apply(seed)["changed"] is True
    (tmp_path / "seed").write_text("what the service made of it")
    assert apply(seed)["changed"] is False
    assert (tmp_path / "seed").read_text() == "what the service made of it"


def test_a_tree_holds_its_files_and_no_others_but_caches(tmp_path):
    for name in ("tree/old.py", "tree/sub/old.py", "tree/sub/kept.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    answer = apply({"path": f"{tmp_path}/tree/", "tree": {"sub/kept.py": "x", "new.py": "y"}})
    left = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file())
    assert left == ["tree/new.py", "tree/sub/kept.py"]
    assert str(tmp_path / "tree/old.py") in answer["paths"]
    (tmp_path / "tree/__pycache__").mkdir()
    (tmp_path / "tree/__pycache__/new.pyc").write_text("")
    assert apply({"path": f"{tmp_path}/tree/", "tree": {"sub/kept.py": "x", "new.py": "y"}})["changed"] is False


def test_of_a_tree_it_is_shown_which_files_differ_and_not_what_stands_in_them(tmp_path):
    def shown(text):
        answer = apply({"path": f"{tmp_path}/tree/", "tree": {"new.py": text}})
        return [(Path(one["after_header"]).name, one["before"][:7], one["after"][:7]) for one in answer["diff"]]

    assert shown("secret\n" * 3) == [("tree", "", "a direc"), ("new.py", "", "3 lines")]
    assert shown("secret\n" * 4) == [("new.py", "3 lines", "4 lines")]


def test_the_files_of_a_tree_have_the_mode_of_all(tmp_path):
    apply({"path": f"{tmp_path}/tree/", "mode": "0700", "tree": {"secret": "x"}}, mode="0600")
    assert (mode(tmp_path / "tree"), mode(tmp_path / "tree/secret")) == ("0700", "0600")


def test_one_file_that_is_not_valid_leaves_all_as_they_were(tmp_path):
    answer = apply(
        {"path": f"{tmp_path}/good", "content": "x"},
        {"path": f"{tmp_path}/bad", "content": "y", "validate": "grep x %s"},
    )
    assert answer["failed"] is True
    assert f"{tmp_path}/bad would not be valid, nothing was changed" in answer["msg"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_already_is_not_validated_again(tmp_path):
    (tmp_path / "file").write_text("x")
    assert "failed" not in apply({"path": f"{tmp_path}/file", "content": "x", "validate": "false"})


def test_check_mode_foretells_and_writes_nothing(tmp_path):
    answer = apply({"path": f"{tmp_path}/d/"}, {"path": f"{tmp_path}/d/f", "content": "x"}, check=True)
    assert answer["paths"] == [f"{tmp_path}/d/", f"{tmp_path}/d/f"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"path": "/x"}, "/x: has no content"),
        ({"path": "/x", "content": "", "link": "y"}, "/x: has content and link"),
        ({"path": "/x/", "content": "y"}, "/x/: has content"),
        ({"path": "/x", "content": "", "owner": "nobody-at-all"}, "/x: there is no nobody-at-all to own it"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_name(entry, said):
    answer = apply(entry)
    assert (answer["failed"], answer["msg"]) == (True, said)


def test_the_digest_of_what_was_written_is_kept_for_root_alone(tmp_path):
    record, file, seed = tmp_path / "kept/files.json", tmp_path / "file", tmp_path / "seed"
    entries = [{"path": str(file), "content": "x"}, {"path": str(seed), "content": "y", "seed": True}]
    apply(*entries, record=str(record), check=True)
    assert not record.exists()
    apply(*entries, record=str(record))
    assert json.loads(record.read_text()) == {str(file): hashlib.sha256(b"x").hexdigest()}
    assert mode(record) == "0600"
    before = record.stat()
    assert apply(*entries, record=str(record))["changed"] is False
    assert record.stat() == before


def test_the_digest_of_what_is_gone_is_forgotten(tmp_path):
    record, old, new = tmp_path / "files.json", tmp_path / "old", tmp_path / "new"
    apply({"path": str(old), "content": "x"}, record=str(record))
    old.unlink()
    apply({"path": str(new), "content": "x"}, record=str(record))
    assert list(json.loads(record.read_text())) == [str(new)]


def test_one_entry_stands_for_a_file_of_each():
    instances = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    entry = {"path": "/etc/x-{}.conf", "template": "x.j2", "mode": "0640"}
    assert action.ActionModule.repeat(None, entry | {"each": instances}, {"site": "y"}) == [
        (entry | {"path": "/etc/x-a.conf"}, {"site": "y", "item": instances[0]}),
        (entry | {"path": "/etc/x-b.conf"}, {"site": "y", "item": instances[1]}),
    ]
    assert action.ActionModule.repeat(None, entry, {"site": "y"}) == [(entry, {"site": "y"})]
