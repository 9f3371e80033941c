// Bundles the page into the folder given: our own code, OpenSeadragon, styles, and the licences.
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const out = process.argv[2] ?? "../static";
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const pages = readdirSync("html").map((name) => name.replace(".html", ""));
await build({
  entryPoints: pages.map((name) => `src/${name}.ts`),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "eof",
  outdir: out,
  logLevel: "warning",
});
for (const name of pages) cpSync(`html/${name}.html`, `${out}/${name}.html`);
cpSync("page.css", `${out}/page.css`);
cpSync("node_modules/openseadragon/LICENSE.txt", `${out}/openseadragon.LICENSE.txt`);
