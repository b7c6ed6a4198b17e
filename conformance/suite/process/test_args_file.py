"""config.md, "Process": the first entry of args, which is looked up as execvp does.

What execvp does is in IEEE Std 1003.1-2008, in its own page and in "Environment Variables", PATH.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.process import file_names

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: A folder on the PATH that the harness gives to runtimes.
ON_BOTH_PATHS = "/usr/local/bin"


def named(harness: Harness, name: str, *, path: str, cwd: str = "/") -> Config:
    """Return a config whose program is the probe by another name."""
    config = harness.config()
    config["process"] |= {"args": [name, "report"], "env": [f"PATH={path}"], "cwd": cwd}
    return config


@requirement("config.process.args-file-like-execvp")
@given(name=file_names().filter(lambda name: not name.startswith(".")))
def test_a_name_without_a_slash_is_found_on_path(harness: Harness, name: str) -> None:
    config = named(harness, name, path=ON_BOTH_PATHS)
    with harness.bundle(config) as bundle:
        bundle.copy_probe(f"{ON_BOTH_PATHS}/{name}")
        report = harness.run(config, bundle=bundle)
    assert report.argv[0] == name.encode()


@requirement("config.process.args-file-like-execvp")
def test_a_name_that_begins_with_a_dot_is_found_on_path(harness: Harness) -> None:
    config = named(harness, ".program", path=ON_BOTH_PATHS)
    with harness.bundle(config) as bundle:
        bundle.copy_probe(f"{ON_BOTH_PATHS}/.program")
        report = harness.run(config, bundle=bundle)
    assert report.argv[0] == b".program"


@requirement("config.process.args-file-like-execvp")
def test_path_is_the_one_of_env(harness: Harness) -> None:
    config = named(harness, "program", path="/of-env")
    with harness.bundle(config) as bundle:
        bundle.copy_probe("/of-env/program")
        with harness.container(config, bundle=bundle) as container:
            result = container.create()
            if result.ok:
                result = container.start()
            # Whose PATH it is, the text does not say; both readings have their reasons.
            if result.failed:
                harness.note("a program that only the PATH of env leads to is not found")
            else:
                assert container.report().argv[0] == b"program"


@requirement("config.process.args-file-like-execvp")
def test_the_first_folder_of_path_that_has_it_decides(harness: Harness) -> None:
    config = named(harness, "program", path=f"/usr/bin:/usr/local/sbin:{ON_BOTH_PATHS}")
    with harness.bundle(config) as bundle:
        bundle.copy_probe("/usr/local/sbin/program")
        bundle.copy_probe(f"{ON_BOTH_PATHS}/program")
        report = harness.run(config, bundle=bundle)
    assert report["exe"] == "/usr/local/sbin/program"


@requirement("config.process.args-file-like-execvp")
def test_what_cannot_be_executed_is_passed_over(harness: Harness) -> None:
    config = named(harness, "program", path=f"/usr/bin:/usr/sbin:{ON_BOTH_PATHS}")
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "usr/bin/program").mkdir(parents=True)
        bundle.copy_probe("/usr/sbin/program")
        (bundle.rootfs / "usr/sbin/program").chmod(0o644)
        bundle.copy_probe(f"{ON_BOTH_PATHS}/program")
        report = harness.run(config, bundle=bundle)
    assert report["exe"] == f"{ON_BOTH_PATHS}/program"


@requirement("config.process.args-file-like-execvp")
def test_what_the_user_may_not_execute_is_passed_over(harness: Harness) -> None:
    config = named(harness, "program", path=f"/usr/bin:{ON_BOTH_PATHS}")
    config["process"]["user"] = {"uid": 1000, "gid": 1000}
    with harness.bundle(config) as bundle:
        bundle.copy_probe("/usr/bin/program")
        (bundle.rootfs / "usr/bin/program").chmod(0o700)
        bundle.copy_probe(f"{ON_BOTH_PATHS}/program")
        report = harness.run(config, bundle=bundle)
    assert report["exe"] == f"{ON_BOTH_PATHS}/program"


@requirement("config.process.args-file-like-execvp")
@pytest.mark.parametrize("prefix", ["", ".", "folder"], ids=["empty", "dot", "relative"])
def test_a_prefix_on_path_counts_from_cwd(harness: Harness, prefix: str) -> None:
    config = named(harness, "program", path=f"/usr/bin:{prefix}:/usr/sbin", cwd="/w")
    with harness.bundle(config) as bundle:
        bundle.copy_probe(f"/w/{prefix}/program")
        report = harness.run(config, bundle=bundle)
    assert report.argv[0] == b"program"


@requirement("config.process.args-file-like-execvp")
@pytest.mark.parametrize("name", ["./program", "folder/program", "../w/program", "/w/program"])
def test_a_name_with_a_slash_is_a_path_seen_from_cwd(harness: Harness, name: str) -> None:
    config = named(harness, name, path=ON_BOTH_PATHS, cwd="/w")
    with harness.bundle(config) as bundle:
        bundle.copy_probe("/w/program")
        bundle.copy_probe("/w/folder/program")
        report = harness.run(config, bundle=bundle)
    assert report.argv[0] == name.encode()


@requirement("config.process.args-file-like-execvp")
def test_a_name_with_a_slash_is_not_looked_for_on_path(harness: Harness) -> None:
    config = named(harness, "folder/program", path=ON_BOTH_PATHS)
    with harness.bundle(config) as bundle:
        bundle.copy_probe(f"{ON_BOTH_PATHS}/folder/program")
        assert harness.attempt(config, bundle=bundle).failed


@requirement("config.process.args-file-like-execvp")
def test_a_name_without_a_slash_is_not_looked_for_in_cwd(harness: Harness) -> None:
    config = named(harness, "program", path=ON_BOTH_PATHS, cwd="/w")
    with harness.bundle(config) as bundle:
        bundle.copy_probe("/w/program")
        bundle.copy_probe("/program")
        assert harness.attempt(config, bundle=bundle).failed
