// Opens a report's index.html in Chromium, as a reader does, and looks whether everything works: offline, by pointer, by
// keyboard, for a screen reader, in the dark, on a phone, on paper.
//
//     node page.mjs FOLDER [SCREENSHOTS]
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const folder = resolve(process.argv[2]);
const pictures = process.argv[3];
const address = pathToFileURL(join(folder, "index.html")).href;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});

/** A fresh page, loaded, that fails the check at the first complaint or request. */
async function open(options) {
  // Scrolling that glides would pass under the pointer.
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => wrong.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (request.url() !== address && !request.url().startsWith("data:")) wrong.push(`request: ${request.url()}`);
  });
  await page.goto(address);
  return { page, context, wrong };
}

const column = (page, k) =>
  page.$$eval("#grid tbody tr", (rows, k) => rows.filter((r) => !r.hidden).map((r) => parseFloat(r.cells[k].dataset.v)), k);
const names = (page) => page.$$eval("#grid tbody tr", (rows) => rows.filter((r) => !r.hidden).map((r) => r.cells[0].textContent.trim()));

async function sorting(page) {
  const before = await names(page);
  assert.ok(before.length > 0, "the table has no rows");
  const count = await page.locator("#grid th[aria-sort]").count();
  for (const k of new Set([1, count - 1])) {
    const head = page.locator("#grid th[aria-sort]").nth(k);
    const button = head.locator("button");
    const numbers = async () => (await column(page, k)).filter((v) => !Number.isNaN(v));
    await button.click();
    assert.equal(await head.getAttribute("aria-sort"), "descending");
    const down = await numbers();
    assert.deepEqual(down, [...down].sort((a, b) => b - a), `column ${k} is not in descending order`);
    // The keyboard does the same.
    await button.focus();
    await page.keyboard.press("Enter");
    assert.equal(await head.getAttribute("aria-sort"), "ascending");
    const up = await numbers();
    assert.deepEqual(up, [...up].sort((a, b) => a - b), `column ${k} is not in ascending order`);
    await page.keyboard.press("Space");
    assert.equal(await head.getAttribute("aria-sort"), "none");
    assert.deepEqual(await names(page), before, "the third press does not restore the suite's order");
  }
}

/** Attacks of a norm go behind its worst cases and come back; afterwards all are there. */
async function groups(page) {
  const shown = () => page.$$eval("#grid th[aria-sort]", (heads) => heads.filter((h) => h.offsetParent).length);
  const cells = () => page.$$eval("#grid tbody tr:first-child > *", (all) => all.filter((c) => c.offsetParent && !c.classList.contains("flags")).length);
  for (const button of await page.locator("#grid .group button").all()) {
    const group = button.locator("..");
    const folds = Number(await group.getAttribute("data-folds"));
    assert.ok(folds > 0, "a norm without worst cases can be folded");
    if ((await button.getAttribute("aria-expanded")) === "false") await button.click();
    const all = await shown();
    await button.focus();
    await page.keyboard.press("Enter");
    assert.equal(await button.getAttribute("aria-expanded"), "false");
    assert.equal(await shown(), all - folds, "folding hides something else than the attacks");
    assert.equal(await cells(), all - folds, "cells and headings go different ways");
    await button.click();
    assert.equal(await shown(), all);
    assert.equal(await cells(), all);
    assert.equal(await group.evaluate((head) => String(head.colSpan)), await group.getAttribute("data-columns"));
  }
}

/** Up to three pictures lie open, the others behind their subjects, which the navigation opens. */
async function pictured(page) {
  const leading = await page.locator("#pictures figure").count();
  assert.ok(leading <= 3 && (leading > 0 || (await page.locator("figure").count()) === 0), `${leading} pictures lead`);
  const folded = page.locator("main section:has(> details.more:not([open]))").last();
  if ((await folded.count()) === 0) return;
  const id = await folded.getAttribute("id");
  await page.click(`nav a[href="#${id}"]`);
  await page.waitForFunction((id) => document.querySelector(`#${id} > details`).open, id);
}

async function filters(page) {
  const before = await names(page);
  const wanted = before.at(-1).split(/\s/)[0];
  await page.fill("#find", wanted.toUpperCase());
  const found = await names(page);
  const words = await page.$$eval("#grid tbody tr", (rows) => rows.filter((r) => !r.hidden).map((r) => r.dataset.words));
  assert.ok(found.length >= 1 && words.every((w) => w.includes(wanted)), `looking for ${wanted} shows ${found}`);
  assert.match(await page.textContent("#said"), new RegExp(`^${found.length} of ${before.length} rows`));
  await page.fill("#find", "no such recipe");
  assert.equal((await names(page)).length, 0);
  await page.fill("#find", "");
  assert.deepEqual(await names(page), before);

  await page.locator(".columns summary").click();
  for (const kind of ["attack", "budget"]) {
    const boxes = page.locator(`input[name="${kind}"]`);
    if ((await boxes.count()) === 0) continue;
    const box = boxes.last();
    const value = await box.getAttribute("value");
    const visible = () => page.$$eval("#grid th[aria-sort]", (heads) => heads.filter((h) => h.offsetParent).map((h) => ({ ...h.dataset })));
    const all = await visible();
    await box.focus();
    await page.keyboard.press("Space");
    const rest = await visible();
    assert.deepEqual(rest, all.filter((h) => h[kind] !== value).map((h) => h), `without ${kind} ${value}`);
    assert.ok(rest.length < all.length, `${kind} ${value} hides no column`);
    await box.check();
    assert.deepEqual(await visible(), all);
  }
  for (const choice of await page.locator('input[name="beside"]').all()) {
    await choice.check();
    const value = await choice.getAttribute("value");
    const shown = await page.$$eval("#grid td:not(.flags) span", (spans) => new Set(spans.filter((s) => s.offsetParent).map((s) => s.className)).size);
    assert.equal(shown, value === "none" ? 0 : 1, `${shown} kinds of numbers beside the mean with ${value}`);
  }
}

async function alternatives(page) {
  const bare = await page.$$eval("figure", (figures) =>
    figures.filter((figure) => figure.querySelector("svg")).filter((figure) => {
      const svg = figure.querySelector("svg");
      const text = (attribute) => document.getElementById(svg.getAttribute(attribute))?.textContent.trim();
      const cells = figure.querySelectorAll("figcaption tbody td");
      return !(svg.getAttribute("role") === "img" && text("aria-labelledby") && text("aria-describedby")?.length > 20 && cells.length);
    }).map((figure) => figure.querySelector("title")?.textContent ?? "a picture"),
  );
  assert.deepEqual(bare, [], "pictures without title, description or numbers");
  return page.locator("figure").count();
}

async function images(page) {
  const wrong = await page.$$eval("img", (all) =>
    all.filter((image) => {
      const sharp = getComputedStyle(image).imageRendering === "pixelated" && image.width % image.naturalWidth === 0;
      return !(image.complete && image.naturalWidth > 0 && sharp && image.alt.length > 10);
    }).map((image) => image.alt),
  );
  assert.deepEqual(wrong, [], "images that do not load, are blurred or say nothing");
}

async function badges(page) {
  const bare = await page.$$eval(".badge", (all) => all.filter((badge) => !/^\S (reproduced|compatible|outside|not|shortened)/.test(badge.textContent)).length);
  assert.equal(bare, 0, "badges that colour alone tells apart");
}

async function flags(page) {
  const flag = page.locator(".flag").first();
  if ((await flag.count()) === 0) return;
  const tip = page.locator("#tip");
  for (const approach of [() => flag.hover(), () => flag.focus()]) {
    await approach();
    assert.ok(await tip.isVisible(), "a flag says nothing");
    assert.match(await tip.textContent(), /Seed \d+: .+Raised when/s);
    await page.keyboard.press("Escape");
    assert.ok(!(await tip.isVisible()), "Escape does not close the explanation");
    await page.mouse.move(0, 0);
  }
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
  const told = found.violations.map((v) => `${what}: ${v.id} (${v.nodes.length}): ${v.help}\n    ${v.nodes[0].html.slice(0, 200)}\n    ${v.nodes[0].failureSummary}`);
  assert.equal(told.length, 0, told.join("\n"));
}

async function wide(page, width) {
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `the page scrolls sideways at ${width}`);
}

const shoot = async (page, name, options = {}) => {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${basename(folder)}-${name}.png`), ...options });
};

const unfold = (page) => page.$$eval("details", (all) => all.forEach((d) => { d.open = true; }));

let figures = 0;
for (const colorScheme of ["light", "dark"]) {
  const { page, context, wrong } = await open({ viewport: { width: 1280, height: 900 }, colorScheme });
  await shoot(page, colorScheme, { fullPage: true });
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip", "the first stop is not the skip link");
  await groups(page);
  await sorting(page);
  await filters(page);
  await flags(page);
  await pictured(page);
  figures = await alternatives(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await ground();
  await page.click("#theme");
  assert.notEqual(await ground(), before, "the theme does not change");
  await page.click("#theme");
  assert.equal(await ground(), before);
  await unfold(page);
  await wide(page, 1280);
  await images(page);
  await badges(page);
  // Thousands of cells tell axe nothing new and take it minutes.
  if (figures < 60) await accessible(page, colorScheme);
  assert.deepEqual(wrong, []);
  await context.close();
}
{
  const { page, context, wrong } = await open({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true });
  await shoot(page, "phone", { fullPage: true });
  await unfold(page);
  await wide(page, 360);
  const left = () => page.$eval("#grid tbody th", (head) => head.getBoundingClientRect().left);
  const before = await left();
  await page.$eval("#grid", (grid) => { grid.parentElement.scrollLeft = 150; });
  assert.ok(Math.abs((await left()) - before) <= 1, "the first column does not stay");
  assert.deepEqual(wrong, []);
  await context.close();
}
{
  const { page, context } = await open({ viewport: { width: 1000, height: 900 }, colorScheme: "dark" });
  await page.emulateMedia({ media: "print" });
  assert.ok(!(await page.locator("nav").isVisible()) && (await page.locator("#grid").isVisible()), "controls are printed");
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
  assert.ok((await page.pdf({ format: "A4" })).length > 10_000);
  await context.close();
}
{
  // Without scripts everything is there but the controls.
  const { page, context } = await open({ javaScriptEnabled: false });
  assert.ok(await page.locator("#grid").isVisible());
  assert.ok(!(await page.locator("#controls").isVisible()));
  await context.close();
}
await browser.close();
console.log(`${basename(folder)}: the page works, ${figures} pictures`);
