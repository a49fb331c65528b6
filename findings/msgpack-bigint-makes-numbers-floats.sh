#!/usr/bin/env bash
# @msgpack/msgpack 3.1.3 (npm) and msgpack 1.2.4 (PyPI): asking JavaScript for exact integers makes others inexact.
#
# With `useBigInt64`, integers of 64 bits are read as BigInt, so that none is rounded. The same option also changes what is
# written, in the other direction: a plain number from 2**32 on, or below -2**31, becomes a float of 64 bits instead of an
# integer. Python gets 5000000000.0, which is no int for a schema, an index or a seed. Smaller numbers stay integers,
# so that tests with small numbers see nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet msgpack==1.2.4
npm install --silent --no-audit --no-fund @msgpack/msgpack@3.1.3 >/dev/null
cat >write.mjs <<'JS'
import { encode } from "@msgpack/msgpack";
const numbers = [4294967295, 4294967296, 5000000000, -2147483648, -2147483649];
for (const useBigInt64 of [false, true]) console.log(Buffer.from(encode(numbers, { useBigInt64 })).toString("hex"));
console.log(Buffer.from(encode([5n, 5000000000n], { useBigInt64: true })).toString("hex"));
JS
node write.mjs >written
env/bin/python - <<'PY' | tee seen
import msgpack
for words, line in zip(("as it is", "useBigInt64", "useBigInt64, BigInts"), open("written")):
    print(f"{words}:", *msgpack.unpackb(bytes.fromhex(line)))
PY
diff seen - <<'EXPECTED'
as it is: 4294967295 4294967296 5000000000 -2147483648 -2147483649
useBigInt64: 4294967295 4294967296.0 5000000000.0 -2147483648 -2147483649.0
useBigInt64, BigInts: 5 5000000000
EXPECTED
