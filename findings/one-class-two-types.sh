#!/usr/bin/env bash
# pyright 1.1.414: a package that is a link to a folder which is checked as well has each class twice.
#
# `shop/parts` is a link to the folder `parts`, so that a checkout can be imported as `shop.parts`. Python agrees with
# itself as long as everybody imports `shop.parts`. pyright names a module by the path it is read by, without following
# links, and does not ask whether two paths are one file: `parts/machine.py` imports its neighbour relatively and gets
# parts.wheel.Wheel, whoever imports shop.parts.wheel gets another Wheel. The error names a file as if it were two, and
# only what is checked tells: with the link alone, or the folder alone, there is none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet 'pyright[nodejs]==1.1.414'

mkdir -p parts shop
touch parts/__init__.py shop/__init__.py
ln -s ../parts shop/parts
echo "class Wheel: ..." >parts/wheel.py
printf 'from shop.parts.wheel import Wheel as Bought\nfrom .wheel import Wheel\n\ndef mount(wheel: Wheel) -> None: ...\n\nmount(Bought())\n' >parts/machine.py

echo "Python:"
env/bin/python -c 'import shop.parts.machine as m; print("one class:", m.Wheel is m.Bought)' | tee seen
for checked in shop parts; do
    { env/bin/pyright --outputjson "$checked" 2>/dev/null || true; } >"$checked.json"
    env/bin/python - "$checked" <<'PY' | tee -a seen
import json, sys
report = json.load(open(sys.argv[1] + ".json"))
rules = [found["rule"] for found in report["generalDiagnostics"]]
print(f"checked by {sys.argv[1]}/:", *(rules or ["no error"]))
PY
done
cat >expected <<'TEXT'
one class: True
checked by shop/: no error
checked by parts/: reportArgumentType
TEXT
diff expected seen || { echo "CHANGED"; exit 1; }
