import { randomBytes } from "node:crypto";
import { readFile, unlink } from "node:fs/promises";
import type { Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import type { Logger } from "pino";
import { z } from "zod";
import { type Env, Problem, readBody } from "../../../shared/platform/http.ts";
import type { Guard } from "./guard.ts";
import { type Flow, type Provider, RETURN_PATH } from "./provider.ts";
import type { Sessions } from "./sessions.ts";

export interface AccessDeps {
  guard: Guard;
  sessions: Sessions;
  /** Undefined: nobody signs in by a provider. */
  provider: Provider | undefined;
  /** The file that holds the secret of a link that signs one person in, once; undefined: there is none. */
  linkFile: string | undefined;
  secure: boolean;
  now: () => number;
  log: Logger;
}

const FLOW_COOKIE = "scrutin-flow";
/** A person types a password meanwhile. */
const FLOW_S = 600;
const MOST_FLOWS = 1_000;
const MOST_BODY = 1_024;
const Link = z.strictObject({ link: z.string().min(16).max(256) });

/** Signing in and out. What goes wrong on the way back from the provider is told on the page of sign-in, and in the log. */
export function addAccessRoutes(deps: AccessDeps): void {
  const { guard, sessions, provider, log } = deps;
  const flows = createFlows(deps.now);
  const cookie = { httpOnly: true, sameSite: "Lax", path: "/auth", secure: deps.secure } as const;

  guard.add("GET", "/v1/session", "anyone", (c, { name, roles, csrf, expires }) => {
    const ways = { provider: provider !== undefined, link: deps.linkFile !== undefined };
    const state = guard.sessionOf(c);
    if (state === undefined || state === "expired")
      return c.json({ ways, session: null, expired: state === "expired" });
    return c.json({ ways, session: { name, roles: [...roles], csrf, expires: new Date(expires).toISOString() } });
  });

  guard.add("GET", "/auth/begin", "anyone", async (c) => {
    if (provider === undefined) throw new Problem("request.not-found");
    const { url, flow } = await provider.begin().catch((error: unknown) => {
      throw new Problem("session.provider", { cause: error });
    });
    setCookie(c, FLOW_COOKIE, flows.keep(flow), { ...cookie, maxAge: FLOW_S });
    return c.redirect(url.href, 302);
  });

  guard.add("GET", RETURN_PATH, "anyone", async (c) => {
    const flow = flows.take(getCookie(c, FLOW_COOKIE) ?? "");
    if (provider === undefined || flow === undefined) return c.redirect("/sign-in?why=late", 302);
    try {
      const { name, roles } = await provider.finish(new URL(c.req.url), flow);
      if (roles.length === 0) {
        log.warn({ name }, "somebody without a role has signed in");
        return c.redirect("/sign-in?why=role", 302);
      }
      guard.begin(c, sessions.begin(name, roles));
      log.info({ name, roles }, "signed in");
      return c.redirect("/", 302);
    } catch (error) {
      log.warn({ err: error }, "a sign-in was refused");
      return c.redirect("/sign-in?why=refused", 302);
    }
  });

  guard.add("POST", "/auth/link", "anyone", async (c) => {
    const site = c.req.header("sec-fetch-site");
    if (site !== undefined && site !== "same-origin") throw new Problem("session.foreign");
    const { link } = await bodyOf(c, Link);
    if (deps.linkFile === undefined || !(await takeLink(deps.linkFile, link))) throw new Problem("session.link");
    guard.begin(c, sessions.begin("operator of the exercise", ["operator", "trustee"]));
    log.info("signed in by the link");
    return c.json({ signedIn: true });
  });

  guard.add("POST", "/auth/out", "viewer", (c) => {
    guard.end(c);
    return c.json({ signedIn: false });
  });
}

/** A small body of JSON of that shape; Problem `request.malformed` for anything else. */
export async function bodyOf<T>(c: Context<Env>, shape: z.ZodType<T>, most = MOST_BODY): Promise<T> {
  const bytes = await readBody(c, most);
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    throw new Problem("request.malformed", { detail: "The body is no JSON." });
  }
  const parsed = shape.safeParse(read);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Problem("request.malformed", { detail: `${issue?.path.join(".") || "The body"}: ${issue?.message}.` });
  }
  return parsed.data;
}

/** True for the first who has it: the file goes with it. */
async function takeLink(path: string, link: string): Promise<boolean> {
  const kept = await readFile(path, "utf8").catch(() => undefined); // used before
  if (kept === undefined || kept.trim().length < 16 || kept.trim() !== link) return false;
  return unlink(path).then(
    () => true,
    () => false, // somebody else was faster
  );
}

function createFlows(now: () => number) {
  const flows = new Map<string, { flow: Flow; until: number }>();
  return {
    keep(flow: Flow): string {
      const [oldest] = flows.keys();
      if (flows.size >= MOST_FLOWS && oldest !== undefined) flows.delete(oldest);
      const id = randomBytes(32).toString("base64url");
      flows.set(id, { flow, until: now() + FLOW_S * 1000 });
      return id;
    },
    take(id: string): Flow | undefined {
      const found = flows.get(id);
      flows.delete(id);
      return found !== undefined && found.until > now() ? found.flow : undefined;
    },
  };
}
