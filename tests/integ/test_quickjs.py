# SPDX-License-Identifier: Apache-2.0
"""How the engine's sources are obtained and patched."""
import os
import subprocess
import sys

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")


def tool(name, *args, **more):
    return subprocess.run([sys.executable, os.path.join(TOOLS, name), *args], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, **more)


def test_patch_stops_where_a_place_is_not_found_once(tmp_path):
    source = tmp_path / "quickjs.c"
    source.write_text("    ctx = b->realm; /* set the current realm */\n" * 2)
    done = tool("quickjs-patch.py", str(source), str(tmp_path / "out.c"))
    assert done.returncode == 1
    assert "JS_CallInternal: realm of a called function: found 2 times" in done.stderr
    assert "js_call_c_function: realm of a C function: found 0 times" in done.stderr
    assert not (tmp_path / "out.c").exists()


def test_damaged_archive_is_named(tmp_path):
    archive = tmp_path / "plimsoll" / "quickjs_ng-0.17.0.2.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(b"not an archive")
    done = tool("quickjs-source.py", str(tmp_path / "out"), env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)})
    assert done.returncode == 1
    assert "quickjs_ng-0.17.0.2.tar.gz is damaged" in done.stderr


def test_missing_pip_is_one_clear_message(tmp_path):
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\n[ \"$1\" = -m ] && exit 1\nexec {sys.executable} \"$@\"\n")
    python.chmod(0o755)
    script = os.path.join(TOOLS, "quickjs-source.py")
    code = f"import sys, runpy; sys.executable = {str(python)!r}; sys.argv = [{script!r}, {str(tmp_path)!r}]; " \
           f"runpy.run_path({script!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.PIPE,
                          universal_newlines=True, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.returncode == 1
    assert done.stderr.strip().endswith("apt-get install python3-pip")
