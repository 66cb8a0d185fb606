"""What editors/README.md says about Neovim and Emacs, where they are installed."""

import os
import re
import shutil
import subprocess

import pytest

from daemon import ROOT, find_binary

README = (ROOT / "editors" / "README.md").read_text()


def run(command, folder):
    environment = {**os.environ, "PATH": f"{find_binary().resolve().parent}:{os.environ['PATH']}", "HOME": str(folder)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def tried(program, version):
    """Skips the test unless the version that the document names is installed."""
    found = shutil.which(program) and subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    is_there = found and f" {version}." in found.replace("v", " ")
    return pytest.mark.skipif(not is_there, reason=f"no {program} {version}")


@tried("nvim", "0.7")
def test_neovim(tmp_path):
    (tmp_path / "start.lua").write_text(re.search(r"```lua\n(.*?)```", README, re.DOTALL)[1])
    commands = re.search(r"```vim\n(.*?)```", README, re.DOTALL)[1].replace(":lua", "lua").splitlines()
    arguments = [part for command in ["luafile start.lua", *commands, "qa!"] for part in ("-c", command)]
    output = run(["nvim", "--headless", "-u", "NONE", *arguments], tmp_path)
    assert re.findall(r"\w+", output) == ["2755008", "12288", "r0"]


@tried("emacs", "28")
def test_emacs(tmp_path):
    start, requests = re.findall(r"```elisp\n(.*?)```", README, re.DOTALL)
    shown = "".join(f'(message "%S" {request})\n' for request in requests.strip().splitlines())
    (tmp_path / "session.el").write_text(start + shown)
    output = run(["emacs", "-Q", "--batch", "-l", "session.el"], tmp_path)
    assert output.splitlines()[0] == "2755008"
    assert ":changed 12288" in output.splitlines()[1]
    assert output.splitlines()[2] == '"r0"'
