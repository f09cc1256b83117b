import { delimiter, join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, type TestContext } from "vitest";
import { isRoot } from "../infra/stack/cache.ts";
import { INSTALL_MS, installedBy, isExecutable } from "./debian.ts";

/**
 * A real browser for tests: headless Chromium, as it is installed, through playwright-core.
 *
 *   const browser = useBrowser();                            // at the top of a test file: one Chromium for all of it
 *   it("…", async (test) => {
 *     const { page, requests } = await browser.open(test);   // a page of a profile of its own; skips the test without Chromium
 *
 * A test fails when a page of it throws, writes an error to its console, or breaks its Content-Security-Policy. Chromium is `$CHROMIUM`, or one that is
 * found, or one that apt-get installs (Debian, as root). Where there is none, its tests are skipped, and fail with CI=true.
 */
export interface TestBrowser {
  open(test: TestContext, options?: OpenOptions): Promise<{ page: Page; requests: string[] }>;
}

export interface OpenOptions extends BrowserContextOptions {
  /** Addresses that may refuse, or not answer: Chromium writes each such answer to the console as an error. */
  refused?: RegExp;
}

/** As they are called in the distributions. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FOLDERS = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];

/** Chromium starts in half a second; installing it takes minutes. `args`: more for its command line. */
export function useBrowser({ args = [] }: { args?: string[] } = {}): TestBrowser {
  let browser: Browser | undefined;
  let missing = "";
  let opened: { page: Page; problems: string[] }[] = [];

  beforeAll(async () => {
    const found = await findChromium();
    if ("path" in found) browser = await launch(found.path, args);
    else missing = found.missing;
    if (browser !== undefined) return;
    if (process.env.CI === "true") throw new Error(missing);
    console.warn(`Tests in the browser are skipped: ${missing}`);
  }, INSTALL_MS);

  afterEach(async () => {
    const pages = opened;
    opened = [];
    for (const { page } of pages) await page.context().close();
    const problems = pages.flatMap((one) => one.problems);
    if (problems.length > 0) throw new Error(`the page has failed:\n${problems.join("\n")}`);
  });

  afterAll(() => browser?.close());

  return {
    async open(test, { refused, ...options } = {}) {
      if (browser === undefined) return test.skip(missing);
      const context = await browser.newContext(options);
      const page = await context.newPage();
      const requests: string[] = [];
      page.on("request", (request) => requests.push(request.url()));
      opened.push({ page, problems: await problemsOf(page, refused) });
      return { page, requests };
    },
  };
}

function launch(executablePath: string, args: string[]): Promise<Browser> {
  // Its sandbox does not start as root, as which containers run.
  return chromium.launch({ executablePath, args: [...(isRoot() ? ["--no-sandbox"] : []), ...args] });
}

/** What goes wrong in a page from now on, a line each: before it loads anything. */
export async function problemsOf(page: Page, refused?: RegExp): Promise<string[]> {
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(`threw ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    const { url } = message.location();
    const expected = message.text().startsWith("Failed to load resource") && refused?.test(url);
    if (message.type() === "error" && !expected) problems.push(`console: ${message.text()} (${url})`);
  });
  await page.exposeFunction("reportViolation", (violation: string) => problems.push(violation));
  await page.addInitScript(`addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) =>
    reportViolation("policy: " + effectiveDirective + " refuses " + blockedURI));`);
  return problems;
}

async function findChromium(): Promise<{ path: string } | { missing: string }> {
  const named = process.env.CHROMIUM;
  if (named !== undefined && named !== "") {
    if (await isExecutable(named)) return { path: named };
    return { missing: `CHROMIUM is ${named}, which cannot be executed` };
  }
  const installed = await firstInstalled();
  if (installed !== undefined) return { path: installed };
  return installedBy("chromium", firstInstalled, "there is no Chromium; install it, or name one in CHROMIUM");
}

async function firstInstalled(): Promise<string | undefined> {
  for (const name of NAMES)
    for (const folder of FOLDERS) if (await isExecutable(join(folder, name))) return join(folder, name);
  return undefined;
}
