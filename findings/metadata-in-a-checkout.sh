#!/usr/bin/env bash
# setuptools 84.2.1, pip of the running Python: importlib.metadata answers by the current folder.
#
# Installing a project from its folder leaves `demo.egg-info` there. A program that is started in that folder by
# `python -m` or `python -c` has the folder first on its path, so that
#
#   metadata.files("demo")    is not the wheel's RECORD but SOURCES.txt: tests and pyproject.toml are "installed files",
#                             no file has a hash, and the folder dist-info/licenses is missing
#   metadata.version("demo")  is that of the last build in the checkout, whichever version is installed
#
# The package that is imported is the installed one all the same, for here its code lies in a folder of another name.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet setuptools==84.2.1

mkdir -p demo/code demo/tests
touch demo/code/__init__.py demo/tests/test_demo.py
echo "a licence" >demo/LICENSE
cat >demo/pyproject.toml <<'TOML'
[build-system]
requires = ["setuptools==84.2.1"]
build-backend = "setuptools.build_meta"

[project]
name = "demo"
version = "1.0"
license-files = ["LICENSE"]

[tool.setuptools]
packages = ["demo"]
package-dir = { demo = "code" }
TOML
env/bin/pip install --quiet --no-build-isolation ./demo
sed -i.old 's/"1.0"/"2.0"/' demo/pyproject.toml && rm demo/pyproject.toml.old
env/bin/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir wheels ./demo # built, and not installed

ask=$(cat <<'PY'
from importlib import metadata
from importlib.util import find_spec
files = metadata.files("demo")
print("version", metadata.version("demo"), "imported from", "site-packages" if "site-packages" in find_spec("demo").origin else "here")
print("licences", sum("licenses" in f.parts for f in files), "tests", sum("tests" in f.parts for f in files),
      "modules with a hash", sum(f.suffix == ".py" and f.hash is not None for f in files))
PY
)
cat >expected <<'TEXT'
elsewhere:
version 1.0 imported from site-packages
licences 1 tests 0 modules with a hash 1
in the checkout:
version 2.0 imported from site-packages
licences 0 tests 1 modules with a hash 0
TEXT
{
    echo "elsewhere:"
    (cd / && "$folder/env/bin/python" -c "$ask")
    echo "in the checkout:"
    (cd demo && "$folder/env/bin/python" -c "$ask")
} | tee seen
diff expected seen || { echo "CHANGED"; exit 1; }
