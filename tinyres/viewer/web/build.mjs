// Makes ../page.html and ../../play/play.html, each one file with everything in it, and ../../play/widget.js, the module
// that a notebook loads: the same bytes for the same sources.

import { build } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import temml from "temml";

import { FIRST, shorten } from "./shorten.mjs";

const HERE = new URL("./", import.meta.url);
const LIMITS = { "page.html": 168 * 1024, "play.html": 300 * 1024, "widget.js": 300 * 1024 };
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

/** Packages whose code is in the bundle; the build fails if one is missing. */
const USED = {
  page: ["preact", "@dagrejs/dagre", "@dagrejs/graphlib"],
  play: ["preact", "d3-array", "d3-contour", "d3-scale", "d3-shape", "d3-color", "d3-path", "d3-format", "d3-interpolate", "internmap"],
};

/** Every copyright, and once the terms that stand under several: their lines may break in other places. */
async function licences(packages) {
  const terms = new Map(); // by their words: the text, and the packages by their copyright
  for (const name of packages) {
    const { version } = JSON.parse(await text(`node_modules/${name}/package.json`));
    const notice = (await text(`node_modules/${name}/LICENSE`)).trim();
    const [, copyright, said] = notice.match(/^([^]*?copyright [^\n]*)\n\n([^]*)$/i);
    const key = said.replace(/\s+/g, " ");
    const { holders } = terms.get(key) ?? terms.set(key, { said, holders: new Map() }).get(key);
    holders.set(copyright, [...(holders.get(copyright) ?? []), `${name} ${version}`]);
  }
  const listed = (holders) => [...holders].map(([copyright, names]) => `${names.join(", ")}\n\n${copyright}\n\n`).join("");
  return [...terms.values()].map(({ said, holders }) => listed(holders) + said).join("\n\n\n");
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
      bundle.onResolve({ filter: /^\.\.?\/(formulas|licences|style)$/ }, ({ path }) => ({ path, namespace: "made" }));
      bundle.onLoad({ filter: /.*/, namespace: "made" }, ({ path }) => ({ contents: contents[path], loader: "js" }));
    },
  };
}

/**
 * dagre comes as one bundled file, with all of graphlib's algorithms in it. Its source map holds the sources it was made
 * from: read from there, what the page does not use is left out.
 */
async function unbundled(name, entry) {
  const at = `/node_modules/${name}`;
  const { sources, sourcesContent } = JSON.parse(await text(`node_modules/${name}/dist/dagre.esm.js.map`));
  const files = new Map(sources.map((path, i) => [new URL(path, `file://${at}/dist/`).pathname, sourcesContent[i]]));
  const graphlib = `${at}/node_modules/@dagrejs/graphlib/lib`;
  files.set(`${at}/entry.ts`, entry);
  files.set(
    `${at}/graphlib.ts`,
    `export { Graph } from "${graphlib}/graph"; import { preorder } from "${graphlib}/alg/preorder";
    import { postorder } from "${graphlib}/alg/postorder"; export const alg = { preorder, postorder };`,
  );
  const places = { [name]: `${at}/entry`, "@dagrejs/graphlib": `${at}/graphlib` };
  return {
    name: "unbundled",
    setup(bundle) {
      bundle.onResolve({ filter: /^@dagrejs\/|^[./]/ }, ({ path, importer, namespace }) => {
        if (places[path] === undefined && namespace !== name) return undefined;
        const place = places[path] ?? new URL(path, `file://${importer}`).pathname;
        const found = [`${place}.ts`, `${place}/index.ts`].find((file) => files.has(file));
        if (found === undefined) throw new Error(`${name}'s source map has no ${place}`);
        return { path: found, namespace: name, sideEffects: false };
      });
      bundle.onLoad({ filter: /.*/, namespace: name }, ({ path }) => ({ contents: files.get(path), loader: "ts" }));
    },
  };
}

async function bundled(entry, packages = [], plugins = [], format = "iife") {
  const { outputFiles, metafile } = await build({
    entryPoints: [new URL(entry, HERE).pathname],
    absWorkingDir: new URL(".", HERE).pathname,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    charset: "utf8",
    format,
    target: "es2022",
    tsconfigRaw: {}, // for the type checker only: calls of createElement(type, props, ...children) are shorter than its jsx-runtime's
    jsx: "transform",
    jsxFactory: "createElement",
    jsxFragment: "Fragment",
    inject: [new URL("src/jsx.ts", HERE).pathname],
    mangleProps: /^_[a-z]/i, // of dagre and graphlib; no name in a document or of the browser begins like that
    legalComments: "none",
    plugins,
  });
  const inputs = Object.entries(Object.values(metafile.outputs)[0].inputs).filter(([, { bytesInOutput }]) => bytesInOutput);
  const found = new Set(inputs.map(([path]) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean));
  const missing = [...found].filter((name) => !packages.includes(name));
  if (missing.length) throw new Error(`${entry} bundles ${missing.join(", ")} without its licence`);
  return outputFiles[0].text.trim();
}

async function saved(path, contents) {
  const name = path.split("/").at(-1);
  const size = Buffer.byteLength(contents);
  if (size > LIMITS[name]) throw new Error(`${name} has ${size} bytes; it may have ${LIMITS[name]}`);
  const place = new URL(path, HERE);
  await mkdir(new URL(".", place), { recursive: true });
  const before = await readFile(place, "utf8").catch(() => "");
  if (contents !== before) await writeFile(place, contents); // who reads it meanwhile sees all of it
  console.log(`${name}: ${size} bytes`);
}

async function paged(template, parts, placeholders) {
  const page = (await text(template)).replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
  for (const placeholder of placeholders)
    if (page.split(placeholder).length !== 2) throw new Error(`${placeholder} must occur once in the page`);
  return page;
}

const script = await bundled("src/main.tsx", USED.page, [
  await unbundled("@dagrejs/dagre", 'export { Graph } from "./lib/graph-lib"; export { layout } from "./lib/layout";'),
  made({
    "./formulas": exported(await formulas()),
    "./licences": exported({ LICENCES: await licences(USED.page) }),
  }),
]);
const style = await bundled("style.css");
await saved(
  "../page.html",
  await paged("page.template.html", { style, script }, ["<!--tinyres-title-->", "<!--tinyres-data-->"]),
);

const playStyle = await bundled("src/play/play.css");
const played = made({
  "./licences": exported({ LICENCES: await licences(USED.play) }),
  "./style": exported({ STYLE: playStyle }),
});
const play = { style: playStyle, script: await bundled("src/play/main.tsx", USED.play, [played]) };
await saved("../../play/play.html", await paged("play.template.html", play, ["<!--tinyres-play-data-->"]));
await saved("../../play/widget.js", `${await bundled("src/play/widget.tsx", USED.play, [played], "esm")}\n`);
