import { createHash, randomBytes } from "node:crypto";

/** What a person may do. An operator sees what a viewer sees, and so does a trustee. */
export const ROLES = ["viewer", "operator", "trustee"] as const;
export type Role = (typeof ROLES)[number];

/** A person who has signed in. */
export interface Session {
  /** As the provider names them. */
  name: string;
  roles: ReadonlySet<Role>;
  /** What a form must send along: a page of somebody else cannot know it. */
  csrf: string;
  /** Ms since the epoch. Nothing that the page asks for moves it. */
  expires: number;
}

/** Sessions in memory: a restart signs everybody out. */
export interface Sessions {
  /** Begins one; answers the secret for the cookie. */
  begin(name: string, roles: Iterable<Role>): string;
  /** The session of a secret; "expired" for one whose time is over, undefined for one that never was. */
  find(secret: string): Session | "expired" | undefined;
  end(secret: string): void;
}

/** One shift. Whoever stays longer signs in again. */
export const SESSION_MS = 8 * 3_600_000;
const MOST_SESSIONS = 1_000;

/** Kept by its hash: a copy of our memory opens no session. */
const hashOf = (secret: string) => createHash("sha256").update(secret).digest("base64url");

export function createSessions(now: () => number, lifeMs: number = SESSION_MS): Sessions {
  const sessions = new Map<string, Session>();
  return {
    begin(name, roles) {
      const secret = randomBytes(32).toString("base64url");
      const [oldest] = sessions.keys();
      if (sessions.size >= MOST_SESSIONS && oldest !== undefined) sessions.delete(oldest);
      const csrf = randomBytes(32).toString("base64url");
      sessions.set(hashOf(secret), { name, roles: new Set(roles), csrf, expires: now() + lifeMs });
      return secret;
    },
    find(secret) {
      const session = sessions.get(hashOf(secret));
      return session === undefined || session.expires > now() ? session : "expired";
    },
    end: (secret) => void sessions.delete(hashOf(secret)),
  };
}
