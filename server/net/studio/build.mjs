// node build.mjs [FOLDER]
// Bundles src/ into FOLDER/studio.js and writes FOLDER/licences.txt; FOLDER is site/, where both are committed. The same
// sources, lock file and esbuild give the same bytes.
// The first line has the SHA-256 of the sources, by which the tests see whether the bundle is current without node.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = process.argv[2] ?? join(here, "site");
const text = (name) => readFileSync(join(here, name), "utf8").replaceAll("\r\n", "\n");
const sources = ["package-lock.json", "build.mjs", ...readdirSync(join(here, "src")).map((name) => `src/${name}`)];
const digest = createHash("sha256");
for (const name of sources.sort()) digest.update(`${name}\n${text(name)}`);

await build({
  absWorkingDir: here,
  entryPoints: ["src/main.ts"],
  outfile: join(folder, "studio.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome109", "firefox115", "safari16.4"],
  charset: "utf8",
  legalComments: "none", // licences.txt has them
  banner: { js: `// Sources ${digest.digest("hex")}\n// LayerFusion studio; /studio/licences.txt has the licences.` },
});

const { version } = JSON.parse(text("node_modules/@msgpack/msgpack/package.json"));
writeFileSync(
  join(folder, "licences.txt"),
  `The studio's script is part of LayerFusion (Apache-2.0), and holds @msgpack/msgpack ${version}:\n\n` +
    text("node_modules/@msgpack/msgpack/LICENSE"),
);
