import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, Handler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { App, Env } from "../../../shared/platform/http.ts";
import { Problem } from "../../../shared/platform/http.ts";
import type { Role, Session, Sessions } from "./sessions.ts";

/** Whom a route is for. `anyone`: it holds nothing of the night. `machine`: a viewer, or whoever has the token for scripts. */
export type Needs = "anyone" | "machine" | Role;

/** Adds routes to the app, each with whom it is for: there is no other way to add one. */
export interface Guard {
  add(
    method: "GET" | "POST",
    path: string,
    needs: Needs,
    handler: (c: Context<Env>, who: Session) => Response | Promise<Response>,
  ): void;
  begin(c: Context<Env>, secret: string): void;
  end(c: Context<Env>): void;
  sessionOf(c: Context<Env>): Session | "expired" | undefined;
}

const COOKIE = "scrutin-watch";
/** The page's own requests carry it; a form or a link of another page cannot. */
export const CSRF_HEADER = "scrutin-csrf";
/** What a script is called in the log. */
const SCRIPT: Session = { name: "script", roles: new Set(["viewer"]), csrf: "", expires: Number.POSITIVE_INFINITY };
const NOBODY: Session = { name: "nobody", roles: new Set(), csrf: "", expires: 0 };

/** `secure`: people reach us by https alone. `token`: for scripts that read. */
export function createGuard(
  app: App,
  { sessions, secure, token }: { sessions: Sessions; secure: boolean; token: string | undefined },
): Guard {
  const secretOf = (c: Context<Env>) => getCookie(c, COOKIE, secure ? "host" : undefined);
  const sessionOf = (c: Context<Env>) => {
    const secret = secretOf(c);
    return secret === undefined ? undefined : sessions.find(secret);
  };
  const admit = (c: Context<Env>, needs: Needs): Session => {
    if (needs === "machine" && token !== undefined && isToken(c, token)) return SCRIPT;
    const session = sessionOf(c);
    if (needs === "anyone") return session === undefined || session === "expired" ? NOBODY : session;
    if (session === undefined || session === "expired")
      throw new Problem("session.missing", { headers: { "www-authenticate": 'Session realm="watch"' } });
    if (c.req.method !== "GET") requireOwnPage(c, session);
    const role = needs === "machine" ? "viewer" : needs;
    if (!mayDo(session, role)) throw new Problem("session.role", { detail: `This needs the role ${role}.` });
    return session;
  };
  return {
    add(method, path, needs, handler) {
      const guarded: Handler<Env> = (c) => handler(c, admit(c, needs));
      if (method === "GET") app.get(path, guarded);
      else app.post(path, guarded);
    },
    begin(c, secret) {
      // Lax: the way back from the provider is a link from elsewhere. What changes anything needs the header as well.
      const options = { httpOnly: true, sameSite: "Lax", path: "/", secure } as const;
      setCookie(c, COOKIE, secret, secure ? { ...options, secure: true, prefix: "host" } : options);
    },
    end(c) {
      const secret = secretOf(c);
      if (secret !== undefined) sessions.end(secret);
      deleteCookie(c, COOKIE, secure ? { path: "/", secure: true, prefix: "host" } : { path: "/" });
    },
    sessionOf,
  };
}

/** Every role may look. */
const mayDo = ({ roles }: Session, role: Role) => roles.has(role) || (role === "viewer" && roles.size > 0);

function requireOwnPage(c: Context<Env>, { csrf }: Session): void {
  const site = c.req.header("sec-fetch-site");
  const isOwn = site === undefined || site === "same-origin";
  if (!isOwn || !isSame(c.req.header(CSRF_HEADER) ?? "", csrf)) throw new Problem("session.foreign");
}

function isToken(c: Context<Env>, token: string): boolean {
  const [, given] = /^Bearer ([A-Za-z0-9_-]{16,256})$/.exec(c.req.header("authorization") ?? "") ?? [];
  return given !== undefined && isSame(given, token);
}

/** In a time that tells nothing of where they differ, nor of how long the other is. */
function isSame(a: string, b: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}
