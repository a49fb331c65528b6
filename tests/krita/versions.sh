#!/usr/bin/env bash
# Runs the tests of this folder in other versions of Krita, each in a chroot with the Debian release that has it, and
# writes what ran into docs/krita.md. It needs root, debootstrap, 2 GB a release, and a .venv whose Python lies outside of
# /usr (made with pyenv or uv), because /usr is the chroot's own.
#
#     tests/krita/versions.sh FOLDER [SUITE…]
#
# The suites are `here` (the Krita of this system), trixie (Krita 5.2), sid (5.3) and experimental (6).
# Chroots in FOLDER are used again. LAYERFUSION_MOUNTS names further folders that the .venv needs, with spaces between.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(realpath -m "$1")
mkdir -p "$folder"
shift
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(here trixie sid experimental)
base=$(.venv/bin/python -c 'import sys; print(sys.base_prefix)')
case $base in /usr | /usr/local) echo "The Python of .venv lies in $base; make it with pyenv or uv." >&2; exit 2 ;; esac

make_chroot() {
    local suite=$1 root=$2 release=$1
    if [ "$suite" = experimental ]; then release=sid; fi
    debootstrap --variant=minbase --include=ca-certificates "$release" "$root"
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/old-mirror" # a mirror may lie some weeks behind
    mount -t proc proc "$root/proc"
    if [ "$suite" = experimental ]; then
        echo "deb http://deb.debian.org/debian experimental main" >>"$root/etc/apt/sources.list"
        chroot "$root" apt-get update
        chroot "$root" apt-get install -y --no-install-recommends -t experimental krita python3-pyqt6 qt6-svg-plugins
    fi
    chroot "$root" apt-get update
    chroot "$root" apt-get install -y --no-install-recommends krita python3-pyqt5 xvfb xauth imagemagick
    umount "$root/proc"
}

mounted=()
unmount() {
    for place in "${mounted[@]}"; do umount "$place" || true; done
    mounted=()
}
trap unmount EXIT

bind() {
    mkdir -p "$2$1"
    mount --bind "$1" "$2$1"
    mounted=("$2$1" "${mounted[@]}")
}

for suite in "${suites[@]}"; do
    root=
    if [ "$suite" != here ]; then
        root="$folder/$suite"
        [ -x "$root/usr/bin/krita" ] || make_chroot "$suite" "$root" >"$folder/$suite-install.log" 2>&1
        for place in /dev /tmp "$PWD" "$base" "$folder" ${LAYERFUSION_MOUNTS:-}; do bind "$place" "$root"; done
        mount -t proc proc "$root/proc"
        mounted=("$root/proc" "${mounted[@]}")
    fi
    run="$folder/$suite-run"
    LAYERFUSION_KRITA_ROOT=$root .venv/bin/pytest -q -m krita --basetemp="$run" --junit-xml="$folder/$suite.xml" \
        tests/krita >"$folder/$suite.log" 2>&1 || true
    tail -1 "$folder/$suite.log"
    unmount
    .venv/bin/python tests/krita/versions_table.py "$run/krita0/report.json" "$folder/$suite.xml"
done
