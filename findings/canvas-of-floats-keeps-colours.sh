#!/usr/bin/env bash
# Chromium 153 (npm: @sparticuz/chromium 153.0.0, Linux on x86-64): a 2D canvas can keep colours below alpha, if it is of floats.
#
# That a canvas premultiplies, and so loses colours where alpha is low, is known: of the 65280 pairs of value and alpha, half
# come back changed. With `colorType: "float16"`, which is new, every one comes back. The price is in its files: `toBlob` then
# writes a PNG of 16 bits a channel, of more than twice the bytes, from the same 8-bit pixels. A browser that
# does not know the option takes it without a word; only `getContextAttributes()` tells.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder"
npm install --silent --no-audit --no-fund @sparticuz/chromium@153.0.0 puppeteer-core@25.16.0 >/dev/null
cat >keep.mjs <<'JS'
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

async function keep() {
  const lines = [], sizes = [];
  for (const colorType of ["unorm8", "float16"]) {
    const image = new ImageData(256, 256);
    for (let at = 0; at < 65536; at++) image.data.set([at & 255, 255 - (at & 255), 7 * at, at >> 8], 4 * at);
    const context = Object.assign(document.createElement("canvas"), { width: 256, height: 256 }).getContext("2d", { colorType });
    context.putImageData(image, 0, 0);
    const seen = context.getImageData(0, 0, 256, 256).data;
    let changed = 0;
    for (let at = 256; at < 65536; at++) changed += seen[4 * at] !== image.data[4 * at];
    const file = new Uint8Array(await (await new Promise((done) => context.canvas.toBlob(done))).arrayBuffer());
    lines.push(`${context.getContextAttributes().colorType}: ${changed} values changed, PNG of ${file[24]} bits a channel`);
    sizes.push(file.length);
  }
  lines.push(`the second PNG is more than twice as large: ${sizes[1] > 2 * sizes[0]}`);
  return lines.join("\n");
}

const browser = await puppeteer.launch({ args: chromium.args, executablePath: await chromium.executablePath(), headless: "shell" });
console.log(await (await browser.newPage()).evaluate(keep));
await browser.close();
JS
node keep.mjs | tee seen
diff seen - <<'EXPECTED'
unorm8: 32385 values changed, PNG of 8 bits a channel
float16: 0 values changed, PNG of 16 bits a channel
the second PNG is more than twice as large: true
EXPECTED
