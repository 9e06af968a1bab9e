// Makes ../page.html: one file with everything in it, the same bytes for the same sources.

import { build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import temml from "temml";

import { FIRST, shorten } from "./shorten.mjs";

const HERE = new URL("./", import.meta.url);
const LIMIT = 160 * 1024;
const text = async (path) => (await readFile(new URL(path, HERE), "utf8")).replaceAll("\r\n", "\n");

/** What stands inside <math>, without what serves Temml's own style sheet or says what browsers know. */
function mathml(tex) {
  const markup = temml.renderToString(tex, { displayMode: true, annotate: false, throwOnError: true });
  return markup
    .replace(/^<math[^>]*>|<\/math>$/g, "")
    .replace(/ (class|style|fence|separator|movablelimits)="[^"]*"/g, "")
    .replace(/<mspace><\/mspace>/g, "")
    .replace(/<mspace([^>]*)><\/mspace>/g, "<mspace$1/>")
    .replace(/<mrow>(<(\w+)[^>]*>[^<]*<\/\2>)<\/mrow>/g, "$1")
    .replace(/^<mrow>((?:(?!<\/?mrow>).)*)<\/mrow>$/, "$1");
}

async function formulas() {
  const given = JSON.parse(await text("formulas.json"));
  const flat = Object.entries(given).flatMap(([kind, { y, args }]) =>
    [["", y], ...Object.entries(args)].map(([arg, tex]) => [`${kind} ${arg}`, mathml(tex)]),
  );
  const { texts, fragments } = shorten(flat.map(([, markup]) => markup));
  return { FIRST, FRAGMENTS: fragments, FORMULAS: Object.fromEntries(flat.map(([key], i) => [key, texts[i]])) };
}

async function licences() {
  const holders = new Map(); // by the text of the notice: two packages share theirs
  for (const name of ["preact", "@dagrejs/dagre", "@dagrejs/graphlib"]) {
    const { version } = JSON.parse(await text(`node_modules/${name}/package.json`));
    const notice = (await text(`node_modules/${name}/LICENSE`)).trim();
    holders.set(notice, [...(holders.get(notice) ?? []), `${name} ${version}`]);
  }
  return [...holders].map(([notice, names]) => `${names.join(", ")}\n\n${notice}`).join("\n\n\n");
}

const exported = (values) =>
  Object.entries(values)
    .map(([name, value]) => `export const ${name} = ${JSON.stringify(value)};`)
    .join("\n");

/** Modules that are made here rather than read. */
function made(contents) {
  return {
    name: "made",
    setup(bundle) {
      bundle.onResolve({ filter: /^\.\/(formulas|licences)$/ }, ({ path }) => ({ path, namespace: "made" }));
      bundle.onLoad({ filter: /.*/, namespace: "made" }, ({ path }) => ({ contents: contents[path], loader: "js" }));
    },
  };
}

async function bundled(entry, plugins = []) {
  const { outputFiles } = await build({
    entryPoints: [new URL(entry, HERE).pathname],
    bundle: true,
    minify: true,
    write: false,
    charset: "utf8",
    format: "iife",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    plugins,
  });
  return outputFiles[0].text.trim();
}

const script = await bundled("src/main.tsx", [
  made({
    "./formulas": exported(await formulas()),
    "./licences": exported({ LICENCES: await licences() }),
  }),
]);
const style = await bundled("style.css");
const parts = { style, script };
const page = (await text("page.template.html")).replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
for (const placeholder of ["<!--tinyres-title-->", "<!--tinyres-data-->"])
  if (page.split(placeholder).length !== 2) throw new Error(`${placeholder} must occur once in the page`);
const size = Buffer.byteLength(page);
if (size > LIMIT) throw new Error(`the page has ${size} bytes; it may have ${LIMIT}`);
await writeFile(new URL("../page.html", HERE), page);
console.log(`page.html: ${size} bytes (script ${script.length}, style ${style.length})`);
