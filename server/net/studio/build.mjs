// node build.mjs [FOLDER]
// Bundles src/ into FOLDER/studio.js and writes FOLDER/licences.txt; FOLDER is site/, where both are committed. The same
// sources, lock file and esbuild give the same bytes.
// The first line has the SHA-256 of the sources, by which the tests see whether the bundle is current without node.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = process.argv[2] ?? join(here, "site");
const text = (name) => readFileSync(join(here, name), "utf8").replaceAll("\r\n", "\n");
const scripts = readdirSync(join(here, "src")).filter((name) => name.endsWith(".ts")).map((name) => `src/${name}`);
const translations = JSON.stringify(tables());
const digest = createHash("sha256");
for (const name of ["package-lock.json", "build.mjs", ...scripts].sort()) digest.update(`${name}\n${text(name)}`);
digest.update(translations);

/** Language -> English text -> translation: the studio's own table, and what else it uses of the Krita plugin's. */
function tables() {
  const page = text("site/studio.html");
  const sources = scripts.map(text).join("");
  const isUsed = (english) =>
    sources.includes(`t(${JSON.stringify(english)}`) || page.includes(`>${english}<`) || page.includes(`="${english}"`);
  const made = {};
  for (const [tag, file] of [["de", "de.json"], ["ja", "ja.json"], ["zh-CN", "zh_CN.json"]]) {
    const plugin = `../../../krita_plugin/layerfusion/translations/${file}`;
    const shared = existsSync(join(here, plugin)) ? JSON.parse(text(plugin)) : {};
    const used = Object.entries(shared).filter(([english]) => isUsed(english));
    const all = { ...Object.fromEntries(used), ...JSON.parse(text(`src/translations/${file}`)) };
    made[tag] = Object.fromEntries(Object.keys(all).sort().map((english) => [english, all[english]]));
  }
  return made;
}

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
  plugins: [
    {
      name: "translations",
      setup({ onResolve, onLoad }) {
        onResolve({ filter: /^translations$/ }, () => ({ path: "translations", namespace: "made" }));
        onLoad({ filter: /.*/, namespace: "made" }, () => ({ contents: translations, loader: "json" }));
      },
    },
  ],
});

const bundled = Object.keys(JSON.parse(text("package.json")).dependencies).map((name) => {
  const { version } = JSON.parse(text(`node_modules/${name}/package.json`));
  return `${name} ${version}:\n\n${text(`node_modules/${name}/LICENSE`).trimEnd()}\n`;
});
writeFileSync(
  join(folder, "licences.txt"),
  `The studio's script is part of LayerFusion (Apache-2.0), and holds these packages.\n\n${bundled.join("\n")}`,
);
