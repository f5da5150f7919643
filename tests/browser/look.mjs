// Opens a page in headless Chromium and prints, as JSON, what was asked for: node look.mjs CHROMIUM PAGE WHAT...
// Every inspection has a browser context of its own, and says besides what the console, the network and dialogs said.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const A4 = { width: 680, height: 1009 }; // CSS pixels inside margins of 15 mm
const PRINTED = 688; // CSS pixels between the margins of the pages' own style, 14 mm
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const [, , program, file, ...asked] = process.argv;

const opened = async (browser, work, options = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const heard = { console: [], requests: [], dialogs: [] };
  page.on("console", (message) => heard.console.push(message.text()));
  page.on("pageerror", (error) => heard.console.push(String(error)));
  page.on("request", (request) => heard.requests.push(request.url()));
  page.on("dialog", (dialog) => { heard.dialogs.push(dialog.message()); dialog.dismiss(); });
  await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
  const found = await work(page);
  await context.close();
  return { ...heard, requests: heard.requests.slice(1), found };
};

const unfold = (page) => page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));

// ---- inspections ----

const layout = (width) => (browser) =>
  opened(browser, async (page) => {
    await unfold(page);
    return page.evaluate(() => {
      const scrolls = (node) => /auto|scroll/.test(getComputedStyle(node).overflowX);
      const contained = (node) => { // in an element that scrolls, or in a figure, which scales
        for (let at = node.parentElement; at && at !== document.body; at = at.parentElement)
          if (scrolls(at) || at.tagName === "svg") return true;
        return false;
      };
      const room = document.documentElement.clientWidth;
      const wide = [...document.body.querySelectorAll("*")].filter((node) => {
        const box = node.getBoundingClientRect();
        return box.width && (box.right > room + 1 || box.left < -1) && getComputedStyle(node).position !== "absolute" && !contained(node);
      });
      return {
        room, taken: document.documentElement.scrollWidth,
        wide: wide.map((node) => node.tagName + (node.id && "#" + node.id) + " in #" + node.closest("[id]")?.id),
      };
    });
  }, { viewport: { width, height: 844 } });

const axe = (colorScheme, width) => (browser) =>
  opened(browser, async (page) => {
    await unfold(page);
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return violations.map(({ id, impact, help, nodes }) => ({
      id, impact, help, where: nodes.slice(0, 5).map((node) => node.target.join(" ") + ": " + node.failureSummary),
    }));
  }, { colorScheme, viewport: { width, height: 844 } });

const state = (page) =>
  page.evaluate(() => {
    const part = (name) => document.getElementById("view-" + name);
    const focused = document.activeElement;
    const ring = getComputedStyle(focused);
    return {
      focus: focused.id, ring: ring.outlineStyle !== "none" && parseFloat(ring.outlineWidth) > 0,
      patient: part("patient").value, outcome: part("outcome").value,
      said: [...part("said").children].map((sentence) => sentence.textContent),
      label: part("plot").querySelector("svg").getAttribute("aria-label"),
      lines: ["line", "without"].map((name) => part("plot").querySelector("polyline." + name)?.getAttribute("points") || ""),
      dots: part("plot").querySelectorAll("circle").length,
      injections: part("plot").querySelectorAll("line.injection").length,
      caption: part("table").querySelector("caption")?.textContent,
      rows: [...part("table").querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent)),
      recorded: part("values").querySelectorAll("tbody tr").length,
      previous: part("previous").getAttribute("aria-disabled"), next: part("next").getAttribute("aria-disabled"),
      made: part("on").querySelectorAll("script, img, a, iframe, form").length,
    };
  });

const keyboard = (browser) =>
  opened(browser, async (page) => {
    const steps = {};
    const tabs = async (id) => {
      for (let i = 0; i < 2000; i += 1) {
        await page.keyboard.press("Tab");
        if (await page.evaluate((wanted) => document.activeElement.id === wanted, "view-" + id)) return;
      }
      throw new Error("Tab never reaches " + id);
    };
    await tabs("patient");
    steps.first = await state(page);
    await page.keyboard.press("ArrowDown");
    steps.arrow = await state(page);
    await tabs("previous");
    await page.keyboard.press("Enter");
    steps.previous = await state(page);
    await page.keyboard.press("Enter");
    steps.beforeTheFirst = await state(page);
    await tabs("next");
    await page.keyboard.press("Space");
    steps.next = await state(page);
    await tabs("outcome");
    steps.outcome = await state(page);
    await tabs("table");
    steps.table = await state(page);
    return steps;
  });

const threshold = (browser) =>
  opened(browser, async (page) => {
    const state = () => page.evaluate(() => {
      const [part, input] = [document.querySelector(".threshold"), document.querySelector(".threshold input")];
      return { shown: !part.hidden, named: input.getAttribute("aria-valuetext"), said: part.querySelector("output").textContent };
    });
    const steps = { first: await state() };
    await page.locator(".threshold input").first().focus();
    await page.keyboard.press("ArrowRight");
    steps.arrow = await state();
    await page.keyboard.press("End");
    steps.end = await state();
    return steps;
  });

const patients = (browser) =>
  opened(browser, async (page) => {
    const count = await page.evaluate(() => document.getElementById("view-patient").options.length);
    const seen = [];
    for (let index = 0; index < count; index += 1) {
      await page.selectOption("#view-patient", { index });
      seen.push(await state(page));
    }
    return seen;
  });

// Fragments of columns break as those of pages do, and, unlike those, can be asked for: a box in two fragments is cut.
const cut = (style) => (browser) =>
  opened(browser, async (page) => {
    await page.emulateMedia({ media: "print" });
    return page.evaluate(({ width, height, more }) => {
      const sheet = document.createElement("style");
      sheet.textContent = `html, body { margin: 0 !important; padding: 0 !important; max-width: none !important }
        body { width: ${width}px; height: ${height}px; columns: auto ${width}px; column-gap: 40px; column-fill: auto; } ${more}`;
      document.head.append(sheet);
      const name = (node) => node.tagName + " in #" + node.closest("[id]")?.id + ": " + node.textContent.trim().slice(0, 60);
      const every = (selector) => [...document.querySelectorAll(selector)].filter((node) => node.getClientRects().length);
      const widest = (node) => Math.max(...[...node.getClientRects()].map((box) => box.width));
      return {
        figures: every("figure").length, rows: every("tr").length, pages: Math.round(document.body.scrollWidth / (width + 40)),
        cut: every("figure, figure svg, tbody tr").filter((node) => node.getClientRects().length > 1).map(name),
        tall: every("figure").filter((node) => node.getBoundingClientRect().height > height).map(name),
        // A browser shrinks a page that is too wide to as little as a half; beyond that, it cuts.
        wide: every("figure, figure svg, table").filter((node) => widest(node) > 2 * width).map(name),
      };
    }, { ...A4, more: style });
  }, { viewport: A4 });

const pdf = (browser) =>
  opened(browser, async (page) => {
    const made = await page.pdf({ format: "A4" });
    return { bytes: made.length, pages: (made.toString("latin1").match(/\/Type\s*\/Page\b/g) || []).length };
  });

// Sizes of text in figures, as a print on A4 has them: points on paper, the smallest of each figure first.
const print = (browser) =>
  opened(browser, async (page) => {
    await page.emulateMedia({ media: "print" });
    return page.evaluate(() => {
      const small = [];
      let figures = 0;
      for (const svg of document.querySelectorAll("figure svg")) {
        if (!svg.getClientRects().length) continue;
        figures += 1;
        const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        for (const text of svg.querySelectorAll("text"))
          if (text.textContent.trim()) small.push({ points: parseFloat(getComputedStyle(text).fontSize) * scale * 0.75, figure: svg.id });
      }
      return { figures, small: small.sort((one, other) => one.points - other.points).slice(0, 5) };
    });
  }, { viewport: { width: PRINTED, height: 1009 } });

const unscripted = (browser) =>
  opened(browser, async (page) => ({
    off: await page.locator("#view-off").isVisible(),
    on: await page.locator("#view-on").isVisible(),
    threshold: await page.locator(".threshold input").first().isVisible(),
    figures: await page.locator("figure svg").count(),
    tables: await page.locator("table").count(),
  }), { javaScriptEnabled: false });

const text = (browser) =>
  opened(browser, async (page) => {
    await unfold(page);
    return { title: await page.title(), text: await page.evaluate(() => document.body.innerText) };
  });

const seconds = (browser) =>
  opened(browser, (page) =>
    page.evaluate(() => {
      const [entry] = performance.getEntriesByType("navigation");
      const painted = performance.getEntriesByName("first-contentful-paint")[0];
      return { loaded: entry.loadEventEnd / 1000, painted: painted ? painted.startTime / 1000 : null };
    }));

const INSPECTIONS = {
  "axe light": axe("light", 1280), "axe dark": axe("dark", 1280), "axe narrow": axe("light", 390),
  keyboard, patients, threshold, pdf, print, unscripted, text, seconds,
  ...Object.fromEntries([360, 390, 768, 1280, 1920].map((width) => [`layout ${width}`, layout(width)])),
  "cut": cut(""), "cut where figures may break": cut("figure, tr, table { break-inside: auto !important }"),
};

const browser = await chromium.launch({ executablePath: program, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
try {
  const found = {};
  for (const name of asked) found[name] = await INSPECTIONS[name](browser);
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
