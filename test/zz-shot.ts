import { chromium } from "playwright-core";
import { start } from "./chat/server/start.ts";

const server = await start({ app: { token: "sesame" } });
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu"],
});
const page = await browser.newPage();
page.on("console", (m) => console.log("CONSOLE", m.type(), m.text()));
page.on("pageerror", (e) => console.log("PAGEERROR", String(e)));
await page.goto(server.url);
await page.locator("#token").waitFor();
await page.fill("#token", "sesame");
await page.press("#token", "Tab");
await page.waitForTimeout(4000);
await browser.close();
await server.listening.close();
