#!/usr/bin/env bash
# Two machines, played by two network namespaces: the server and the cluster's head in one, the node that draws in the
# other. A picture is drawn over the network; then the node dies in mid-job, and the server says so.
# Linux and root only. PYTHON is an environment with the package and its extra `ray`.
set -euo pipefail

python=${PYTHON:-.venv/bin/python}
bin=$(cd "$(dirname "$python")" && pwd)
scratch=$(mktemp -d)

cleanup() {
    for name in layerfusion-a layerfusion-b; do
        ip netns pids "$name" 2>/dev/null | xargs -r kill -9 || true
        ip netns del "$name" 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap cleanup EXIT

ip netns add layerfusion-a
ip netns add layerfusion-b
ip link add lf-a type veth peer name lf-b
ip link set lf-a netns layerfusion-a
ip link set lf-b netns layerfusion-b
ip -n layerfusion-a addr add 10.99.0.1/24 dev lf-a
ip -n layerfusion-b addr add 10.99.0.2/24 dev lf-b
for end in a b; do
    ip -n layerfusion-$end link set lo up
    ip -n layerfusion-$end link set lf-$end up
done
on_first() { ip netns exec layerfusion-a "$bin/$@"; }

RAY_AUTH_TOKEN=$("$python" -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 LAYERFUSION_RUNTIME="$scratch/server.json"
on_first ray start --head --node-ip-address 10.99.0.1 --port 6399 --num-cpus 0 --include-dashboard false \
    --temp-dir "$scratch/ray" >"$scratch/head.log" 2>&1
ip netns exec layerfusion-b "$bin/ray" start --address 10.99.0.1:6399 --node-ip-address 10.99.0.2 --num-cpus 1 \
    >"$scratch/node.log" 2>&1
on_first layerfusion serve --port 0 --folder "$scratch/jobs" --executor ray --address 10.99.0.1:6399 --workers 1 \
    >"$scratch/serve.log" 2>&1 &
until [ -s "$LAYERFUSION_RUNTIME" ]; do sleep 1; done

on_first layerfusion generate "a red apple" --background "a table" --seed 1 --server local --out "$scratch/a.psd"
ip netns pids layerfusion-b | xargs ps -o args= -p | grep "ray::Actor"

on_first layerfusion generate "a red apple" --background "a table" --seed 2 --steps 150 --server local \
    --out "$scratch/b.psd" >"$scratch/killed.log" 2>&1 &
drawing=$!
until grep -q "drawing" "$scratch/killed.log"; do sleep 0.2; done
ip netns pids layerfusion-b | xargs kill -9
if wait $drawing; then
    echo "broken: the job ended well although its node died" >&2
    exit 1
fi
grep "died during the job" "$scratch/killed.log"
echo "a picture was drawn on another node, and the death of the node was reported"
