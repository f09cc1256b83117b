import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import type { Guard } from "./access/guard.ts";

/** The dashboard as Vite has built it, in memory: one document for every page of it, and its files, named by their hashes. */
export interface Shell {
  document: string;
  files: ReadonlyMap<string, { bytes: Uint8Array; type: string }>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Reads it; undefined if it was not built. */
export async function readShell(folder: string): Promise<Shell | undefined> {
  try {
    const document = await readFile(join(folder, "index.html"), "utf8");
    const names = await readdir(join(folder, "assets"));
    const files = await Promise.all(
      names.map(async (name) => {
        const type = TYPES[extname(name)] ?? "application/octet-stream";
        return [name, { bytes: await readFile(join(folder, "assets", name)), type }] as const;
      }),
    );
    return { document, files: new Map(files) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Nothing is loaded from elsewhere, nothing is framed, no form is sent: the page asks its own origin, and that is all. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const NOT_BUILT = `<!doctype html><html lang="en"><title>Watch</title><h1>The dashboard is not built</h1>
<p>Run <code>npm run build</code>, and start watch again. What it knows is at <code>/v1/status</code> meanwhile.</p></html>`;

const PAGES = ["/", "/states/:state", "/incidents", "/incidents/:id", "/decisions", "/sign-in"] as const;

export function addShellRoutes(guard: Guard, shell: Shell | undefined, mode: "live" | "exercise"): void {
  // Before anything is loaded the title says what this is.
  const document = (shell?.document ?? NOT_BUILT).replace(
    "<title>",
    mode === "exercise" ? "<title>EXERCISE: " : "<title>",
  );
  const headers = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
  };
  for (const page of PAGES)
    guard.add("GET", page, "anyone", (c) => c.html(document, shell === undefined ? 503 : 200, headers));
  guard.add("GET", "/assets/:name", "anyone", (c) => {
    const file = shell?.files.get(c.req.param("name") ?? "");
    if (file === undefined) return c.notFound() as never;
    const cached = { "cache-control": "public, max-age=31536000, immutable", "content-type": file.type };
    return c.body(Buffer.from(file.bytes), 200, { ...cached, "cross-origin-resource-policy": "same-origin" });
  });
}
