#!/usr/bin/env bash
# Chromium 153 (npm: @sparticuz/chromium 153.0.0, Linux on x86-64): two canvases of one page multiply the same colours to
# different ones, for `willReadFrequently` is a choice of arithmetic.
#
# All pairs of 8-bit values are blended, opaque over opaque, so that alpha plays no part. On a graphics card, here emulated,
# the rounded product comes out for all. With `willReadFrequently`, or without a card, the processor blends, and 29 pairs
# in 100 differ by 1, nearly all upwards: 1 times 1 is 1, so that no number of such layers makes a picture black. `screen`
# is the same in both. A page that reads its canvas back is advised to set the option, as a matter of speed only.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder"
npm install --silent --no-audit --no-fund @sparticuz/chromium@153.0.0 puppeteer-core@25.16.0 >/dev/null
cat >blend.mjs <<'JS'
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

function blend() {
  const each = (use) => { for (let y = 0; y < 256; y++) for (let x = 0; x < 256; x++) use(x, y, 4 * (256 * y + x)); };
  const canvas = (options, colour) => {
    const context = Object.assign(document.createElement("canvas"), { width: 256, height: 256 }).getContext("2d", options);
    const image = new ImageData(256, 256);
    each((x, y, at) => image.data.set(colour(x, y), at));
    context.putImageData(image, 0, 0);
    return context;
  };
  const lines = [];
  for (const willReadFrequently of [false, true]) {
    for (const [mode, formula] of [["screen", (x, y) => x + y - (x * y) / 255], ["multiply", (x, y) => (x * y) / 255]]) {
      const below = canvas({ willReadFrequently }, (x) => [x, x, x, 255]);
      below.globalCompositeOperation = mode;
      below.drawImage(canvas({ willReadFrequently }, (_, y) => [y, y, y, 255]).canvas, 0, 0);
      const seen = below.getImageData(0, 0, 256, 256).data;
      let brighter = 0, darker = 0;
      each((x, y, at) => {
        brighter += seen[at] > Math.round(formula(x, y));
        darker += seen[at] < Math.round(formula(x, y));
      });
      const reading = willReadFrequently ? "willReadFrequently" : "otherwise";
      lines.push(`${reading}, ${mode}: ${brighter} too bright, ${darker} too dark; 1 and 1 give ${seen[4 * 257]}`);
    }
  }
  return lines.join("\n");
}

const browser = await puppeteer.launch({ args: chromium.args, executablePath: await chromium.executablePath(), headless: "shell" });
console.log(await (await browser.newPage()).evaluate(blend));
await browser.close();
JS
node blend.mjs | tee seen
diff seen - <<'EXPECTED'
otherwise, screen: 0 too bright, 0 too dark; 1 and 1 give 2
otherwise, multiply: 0 too bright, 0 too dark; 1 and 1 give 0
willReadFrequently, screen: 0 too bright, 0 too dark; 1 and 1 give 2
willReadFrequently, multiply: 17284 too bright, 1476 too dark; 1 and 1 give 1
EXPECTED
