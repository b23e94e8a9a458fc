/** The page at `/` in a real browser: it streams, stops, remembers, fits the context, and breaks no rule of its policy. */
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { MODEL, type Started, type StartOptions, start } from "./start.ts";

const CHROMIUM = "/usr/bin/chromium";
const ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
];
/** The gate installs it; elsewhere its absence is no failure. */
const absent = !existsSync(CHROMIUM) && process.env.CI === undefined;

describe.skipIf(absent)(`in Chromium (needs ${CHROMIUM}: apt-get install chromium)`, () => {
  let browser: Browser;
  let server: Started;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
  });
  afterAll(() => browser?.close());
  afterEach(() => server.listening.close());

  /** Anything on the console, any error and any request to elsewhere fails, but for what the test expects. */
  async function onPage(
    options: StartOptions,
    act: (page: Page) => Promise<void>,
    expected: readonly RegExp[] = [],
  ): Promise<void> {
    server = await start(options);
    const context = await browser.newContext({ viewport: { width: 900, height: 700 } });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on("console", (message) => problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(`${server.url}/`) && !url.startsWith("data:")) problems.push(url);
    });
    try {
      await page.goto(server.url);
      await act(page);
      expect(problems.filter((text) => !expected.some((pattern) => pattern.test(text)))).toEqual([]);
    } finally {
      await context.close();
    }
  }

  const say = async (page: Page, text: string): Promise<void> => {
    await page.fill("#message", text);
    await page.press("#message", "Enter");
  };
  const replies = (page: Page) => page.locator("article.assistant");
  const idle = (page: Page) => page.locator("#send", { hasText: "Send" }).waitFor();

  it("chats: pieces appear as they come, and the conversation goes on", async () => {
    await onPage({}, async (page) => {
      await page.locator("#model", { hasText: MODEL }).waitFor();
      let open = (): void => {};
      server.model.source.onFeed = async () => {
        if (server.model.source.fed.length === 4)
          await new Promise<void>((resolve) => {
            open = resolve;
          });
      };
      await say(page, "<b>hello</b>");
      // The fifth letter is held back, and four are there.
      await replies(page)
        .filter({ hasText: /^you $/ })
        .waitFor();
      expect(await page.locator("#send").textContent()).toBe("Stop");
      open();
      await idle(page);
      expect(await replies(page).allTextContents()).toEqual(["you said <b>hello</b>"]);
      expect(await page.locator("#status").textContent()).toMatch(/^22 tokens in .* s, \d+ read$/);
      await say(page, "more");
      await replies(page).nth(1).filter({ hasText: "you said more" }).waitFor();
      expect(server.served[1]!.completion!.cachedTokens).toBeGreaterThan(100);
      await idle(page);
      await page.click("#new");
      expect(await page.locator("article").count()).toBe(0);
    });
  });

  it("stops a reply and keeps what came of it", async () => {
    await onPage({ respond: () => "x".repeat(900) }, async (page) => {
      const { source } = server.model;
      source.onFeed = () => new Promise((resolve) => setTimeout(resolve, 5));
      await say(page, "go");
      await replies(page).filter({ hasText: /xxxxx/ }).waitFor();
      await page.click("#send");
      await idle(page);
      expect(await page.locator("#status").textContent()).toBe("stopped");
      expect(await replies(page).textContent()).toMatch(/^x+$/);
      // The server has stopped too.
      const fed = source.fed.length;
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(source.fed.length).toBeLessThan(fed + 10);
    });
  });

  it("uses the settings", async () => {
    const respond = (text: string) => text.slice(text.indexOf("\n") + 1, text.indexOf("\n\n"));
    await onPage({ respond }, async (page) => {
      await page.click("#settings-button");
      await page.fill("#system", "Be brief, please.");
      await page.fill("#max-tokens", "8");
      await say(page, "a");
      await idle(page);
      expect(await replies(page).textContent()).toBe("Be brief");
      expect(await page.locator("#status").textContent()).toMatch(/^cut off after 8 tokens /);
    });
  });

  it.each([
    { capacity: 180, why: "no room for the prompt" },
    { capacity: 200, why: "little room for the reply" },
  ])("leaves out the oldest exchange where there is $why", async ({ capacity }) => {
    await onPage(
      { capacity },
      async (page) => {
        for (const text of ["first", "second", "third"]) {
          await say(page, text);
          await replies(page)
            .filter({ hasText: `you said ${text}` })
            .waitFor();
          await idle(page);
        }
        expect(await page.locator("article.left-out").allTextContents()).toEqual(["first", "you said first"]);
      },
      [/status of 400/],
    );
  });

  it("gives back what could not be said, and says why", async () => {
    await onPage(
      { capacity: 120 },
      async (page) => {
        await say(page, "x".repeat(200));
        await page.locator("#status.problem").waitFor();
        expect(await page.locator("#status").textContent()).toContain("the context holds 120");
        expect(await page.locator("article").count()).toBe(0);
        expect(await page.inputValue("#message")).toBe("x".repeat(200));
      },
      [/status of 400/],
    );
  });

  it("asks for the token of a server that has one, and keeps it for the session", async () => {
    await onPage(
      { app: { token: "sesame" } },
      async (page) => {
        await page.locator("#token").waitFor();
        await page.fill("#token", "sesame");
        await page.press("#token", "Tab");
        await page.locator("#model", { hasText: MODEL }).waitFor();
        await say(page, "hello");
        await replies(page).filter({ hasText: "you said hello" }).waitFor();
        await idle(page);
        await page.reload();
        await page.locator("#model", { hasText: MODEL }).waitFor();
      },
      [/status of 401/],
    );
  });
});
