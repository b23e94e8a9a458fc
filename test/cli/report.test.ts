/** `lema show --html` in a real browser: it renders, answers to search, keys and clicks, and asks nothing of the network. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { painter } from "../../cli/render/human.ts";
import { renderSummary } from "../../cli/render/plan-summary.ts";
import { renderReport } from "../../cli/render/report/page.ts";
import type { Plan } from "../../schemas/plan.ts";
import { directoryWith, lema } from "./run-in-process.ts";

const CHROMIUM = "/usr/bin/chromium";
const ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** The gate installs it; elsewhere its absence is no failure. */
const absent = !existsSync(CHROMIUM) && process.env.CI === undefined;

let cwd: string;
let plan: Plan;
let browser: Browser;

beforeAll(async () => {
  cwd = directoryWith({ "recipe.yaml": readFileSync("recipes/llama2-cpu-laptop.yaml", "utf8") });
  await lema(["plan", "recipe.yaml", "--dry-run", "-o", "plan.json"], { cwd });
  plan = JSON.parse(readFileSync(join(cwd, "plan.json"), "utf8"));
});

it("is written beside a line that says what to do with it", async () => {
  const { exit, stdout } = await lema(["show", "plan.json", "--html", "plan.html"], { cwd });
  expect({ exit, stdout }).toEqual({ exit: 0, stdout: expect.stringContaining("Wrote plan.html.") });
  const html = readFileSync(join(cwd, "plan.html"), "utf8");
  expect(html).toBe(renderReport(plan));
  expect(html).not.toMatch(/\b(?:src|href)="(?!data:)/);
  expect(html).not.toMatch(/https?:\/\//);
});

it("counts in words, and says where nothing of the traffic has to be", () => {
  const odd = structuredClone(plan);
  odd.shape.ring = 1;
  for (const one of odd.bounds) Object.assign(one, { moved: 5, bound: 0, gap_ppm: 5_000_000 });
  const html = renderReport(odd);
  expect(html).toContain("streamed through 1 slot<");
  expect(html).toContain("<td>all above</td>");
  const options = {
    screen: { paint: painter(false), columns: Number.POSITIVE_INFINITY },
    placeOf: null,
    statistics: null,
  };
  expect(renderSummary(odd, options)).toMatch(/disk reads +5 B +at least 0 B +all above the bound\n/);
});

describe.skipIf(absent)(`in Chromium (needs ${CHROMIUM}: apt-get install chromium)`, () => {
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
  });
  afterAll(() => browser?.close());

  /** Opens the page and runs `act`; anything on the console, any error and any request beyond the file fails. */
  async function onPage(act: (page: Page) => Promise<void>, options: OpenOptions = {}): Promise<void> {
    const file = join(cwd, "report.html");
    writeFileSync(file, renderReport(options.plan ?? plan));
    const page = await browser.newPage({
      viewport: { width: 1280, height: 900 },
      colorScheme: options.scheme ?? "light",
    });
    const problems: string[] = [];
    const requests: string[] = [];
    page.on("console", (message) => problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("request", (request) => requests.push(request.url().slice(0, 5)));
    try {
      await page.goto(pathToFileURL(file).href);
      await act(page);
      expect(problems).toEqual([]);
      expect(requests.filter((url) => url !== "file:" && url !== "data:")).toEqual([]);
    } finally {
      await page.close();
    }
  }

  interface OpenOptions {
    readonly scheme?: "light" | "dark";
    readonly plan?: Plan;
  }

  /** Colours on a canvas, most frequent first. */
  const colors = (page: Page, canvas: string): Promise<string[]> =>
    page.evaluate<string[]>(`(() => {
      const drawn = document.querySelector(${JSON.stringify(canvas)});
      // A copy that is made to be read: reading the page's own canvas would slow it down, and Chromium says so.
      const copy = Object.assign(document.createElement("canvas"), { width: drawn.width, height: drawn.height });
      const context = copy.getContext("2d", { willReadFrequently: true });
      context.drawImage(drawn, 0, 0);
      const { data } = context.getImageData(0, 0, copy.width, copy.height);
      const counts = new Map();
      for (let at = 0; at < data.length; at += 4) {
        const color = data.slice(at, at + 4).join(" ");
        counts.set(color, (counts.get(color) ?? 0) + 1);
      }
      return [...counts].sort((a, b) => b[1] - a[1]).map(([color]) => color);
    })()`);

  it.each(["light", "dark"] as const)("draws every chart, %s", async (scheme) => {
    await onPage(
      async (page) => {
        for (const canvas of ["#overview", "#timeline", "#memory-ram"]) {
          expect((await colors(page, canvas)).length).toBeGreaterThan(8);
        }
        const background = await page.evaluate("getComputedStyle(document.body).backgroundColor");
        expect(background).toBe(scheme === "light" ? "rgb(246, 247, 249)" : "rgb(16, 18, 22)");
        await expect(page.title()).resolves.toContain(plan.adapter.base_model);
      },
      { scheme },
    );
  });

  it("finds instructions by words and by column, and keeps few rows in the document", async () => {
    await onPage(async (page) => {
      const { steady } = plan.programs["train-step"];
      const count = () => page.locator("#instructions .count").textContent();
      const all = steady.length.toLocaleString("en");
      expect(await count()).toBe(`${all} of ${all}`);
      expect(await page.locator(".row").count()).toBeLessThan(60);
      await page.keyboard.press("/");
      await page.keyboard.type("bwd l07");
      const found = steady.filter(({ id }) => id.includes("bwd") && id.includes("L07"));
      expect(found.length).toBeGreaterThan(0);
      expect(await count()).toBe(`${found.length.toLocaleString("en")} of ${all}`);
      const ids = await page.locator(".row > :nth-child(2)").allTextContents();
      expect(ids.toSorted()).toEqual(found.map(({ id }) => id).toSorted());
      await page.fill("input[type=search]", "lane:disk");
      expect(await count()).toBe(
        `${steady.filter(({ lane }) => lane === "disk").length.toLocaleString("en")} of ${all}`,
      );
      await page.fill("input[type=search]", "nothing of the kind");
      expect(await count()).toBe(`0 of ${all}`);
    });
  });

  it("is driven by keys alone: select, zoom, step along a lane, back to the whole", async () => {
    await onPage(async (page) => {
      const title = () => page.locator("#details h3").textContent();
      const whole = await colors(page, "#timeline");
      await page.focus("[role=grid]");
      await page.keyboard.press("ArrowDown");
      expect(await title()).toBe(plan.programs["train-step"].steady[0]!.id);
      await page.keyboard.press("End");
      const last = plan.programs["train-step"].steady.at(-1)!;
      expect(await title()).toBe(last.id);
      expect(await page.locator("[role=grid]").getAttribute("aria-activedescendant")).toBe(
        await page.locator(".row[aria-selected=true]").getAttribute("id"),
      );
      await page.keyboard.press("Enter");
      await page.focus("#timeline");
      await page.keyboard.press("p");
      const lane = plan.programs["train-step"].steady.filter((one) => one.lane === last.lane);
      expect(await title()).toBe(lane.at(-2)!.id);
      await page.keyboard.press("Escape");
      expect(await page.locator("#details h3").count()).toBe(0);
      await page.keyboard.press("+");
      await frame(page);
      expect(await colors(page, "#timeline")).not.toEqual(whole);
      await page.keyboard.press("0");
      await frame(page);
      expect(await colors(page, "#timeline")).toEqual(whole);
    });
  });

  it("answers to the pointer: tooltip, selection, kinds of memory, another program", async () => {
    await onPage(async (page) => {
      const box = (await page.locator("#timeline").boundingBox())!;
      await page.mouse.move(box.x + box.width * 0.7, box.y + box.height - 22);
      expect(await page.locator("#tooltip").textContent()).toMatch(/^bwd\/.*bound by/s);
      await page.mouse.down();
      await page.mouse.up();
      expect(await page.locator("#details h3").textContent()).toMatch(/^bwd\//);
      const before = await colors(page, "#memory-ram");
      await page.uncheck("[data-holding=pinned]");
      await frame(page);
      expect(await colors(page, "#memory-ram")).not.toEqual(before);
      await page.selectOption("#program", "evaluate");
      const { length } = plan.programs.evaluate.steady;
      expect(await page.locator("#instructions .count").textContent()).toBe(`${length} of ${length}`);
    });
  });

  it("fits a narrow screen: what is wider moves by itself", async () => {
    await onPage(async (page) => {
      await page.setViewportSize({ width: 380, height: 800 });
      await frame(page);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(380);
    });
  });

  it("shows a name as it is written, whatever it holds", async () => {
    const name = `</script><b id="injected">"&amp;'`;
    const odd = structuredClone(plan);
    odd.adapter.base_model = name;
    odd.decisions[0]!.reason = name;
    await onPage(
      async (page) => {
        expect(await page.locator("h1").textContent()).toBe(name);
        expect(await page.locator("#injected").count()).toBe(0);
        expect(await page.locator(".row").count()).toBeGreaterThan(0);
      },
      { plan: odd },
    );
  });
});

/** What was asked for is drawn in the next frame. */
const frame = (page: Page): Promise<unknown> =>
  page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
