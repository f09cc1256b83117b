import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createSocketServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PullIo, type PullOptions, pull } from "../services/pull/pull.ts";
import type { Said } from "../services/pull/words.ts";
import type { Sample } from "../shared/definition/sample.ts";
import { releaseFiles } from "../shared/formats/files.ts";

/** `npm run pull` within the test's process, and what can stand between it and the publisher. */

export interface Pulled {
  result: "holds" | "broken";
  said: Said[];
  folder: string;
}

export async function freshFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "scrutin-pull-"));
}

export const parliamentSigner = (sample: Sample) => {
  const { id, jwk, privateKey } = sample.keys.get("parliament-1") as NonNullable<ReturnType<Sample["keys"]["get"]>>;
  return { kid: id, privateKey, publicKey: jwk.x };
};

/** Once, into `folder`, unless `options` say otherwise. */
export async function runPull(
  sample: Sample,
  url: string,
  folder: string,
  options: Partial<PullOptions> = {},
  io: Partial<PullIo> = {},
): Promise<Pulled> {
  const said: Said[] = [];
  const { anchors } = sample;
  const result = await pull(
    {
      url: new URL(url),
      out: folder,
      formats: [],
      once: true,
      definitionKeys: anchors.map(({ id, publicKey }) => ({ id, publicKey })),
      signer: undefined,
      ...options,
    },
    {
      signal: new AbortController().signal,
      now: Date.now,
      makeFiles: releaseFiles,
      requestPatienceMs: 20_000,
      patienceMs: 500,
      ...io,
      say(what) {
        said.push(what);
        io.say?.(what);
      },
    },
  );
  return { result, said, folder };
}

/** Every file below a folder with its bytes in hex. */
export async function filesIn(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, name);
    if ((await stat(path)).isFile()) found.set(name, (await readFile(path)).toString("hex"));
  }
  return found;
}

export const removeFolder = (folder: string) => rm(folder, { recursive: true, force: true });

export interface Between {
  url: string;
  close(): Promise<void>;
}

/**
 * Passes connections on and cuts each one off when it has given the client so many bytes: `next()` says how many, undefined leaves it
 * whole.
 */
export async function startCutter(target: string, next: () => number | undefined): Promise<Between> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createSocketServer((down) => {
    const up = connect(Number(port), hostname);
    const end = () => {
      up.destroy();
      down.destroy();
    };
    for (const socket of [up, down]) {
      sockets.add(socket);
      socket.on("error", end).on("close", end).setNoDelay(true);
    }
    let left = next() ?? Number.POSITIVE_INFINITY;
    down.on("data", (chunk) => up.write(chunk));
    up.on("data", (chunk) => {
      const given = chunk.subarray(0, Math.min(left, chunk.length));
      left -= given.length;
      if (left > 0) down.write(given);
      else down.write(given, end);
    });
  });
  return listening(server, async () => {
    for (const socket of sockets) socket.destroy();
  });
}

/** Passes requests on, and gives `change(path, body)` in the place of each whole body; a stream, which is never whole, as it comes. */
export async function startTamperer(
  target: string,
  change: (path: string, body: Buffer) => Buffer | Promise<Buffer>,
  {
    keepTags = true,
    instead = () => false,
  }: { keepTags?: boolean; instead?: (asked: IncomingMessage, answer: ServerResponse) => boolean } = {},
): Promise<Between> {
  const server = createServer((asked: IncomingMessage, answer: ServerResponse) => {
    if (instead(asked, answer)) return;
    const path = asked.url ?? "/";
    const { host: _, connection: __, ...headers } = asked.headers;
    const sent = request(target + path, { method: asked.method, headers });
    answer.on("close", () => sent.destroy());
    sent.on("error", () => answer.destroy());
    sent.on("response", async (given) => {
      if (given.headers["content-type"] === "text/event-stream") {
        answer.writeHead(given.statusCode ?? 500, { "content-type": "text/event-stream" });
        given.on("error", () => answer.destroy()).pipe(answer);
        return;
      }
      const chunks: Buffer[] = [];
      for await (const chunk of given) chunks.push(chunk as Buffer);
      const body = await change(path, Buffer.concat(chunks));
      const { "transfer-encoding": _, connection: __, etag, ...own } = given.headers;
      if (keepTags && etag !== undefined) Object.assign(own, { etag });
      answer.writeHead(given.statusCode ?? 500, { ...own, "content-length": body.length });
      answer.end(body);
    });
    sent.end();
  });
  return listening(server, async () => server.closeAllConnections());
}

/** Passes requests on, and is the publisher's stream itself: what `send` is given goes to everyone who listens. */
export async function startStreamer(target: string) {
  const listeners = new Set<ServerResponse>();
  const since: (string | undefined)[] = [];
  const between = await startTamperer(target, (_, body) => body, {
    instead: (asked, answer) => {
      if (asked.url !== "/v1/stream") return false;
      since.push(asked.headers["last-event-id"] as string | undefined);
      answer.writeHead(200, { "content-type": "text/event-stream" }).write(": open\n\n");
      listeners.add(answer);
      answer.on("close", () => listeners.delete(answer));
      return true;
    },
  });
  return {
    ...between,
    /** `Last-Event-ID` of every stream that was asked for. */
    since,
    listeners,
    send(text: string) {
      for (const answer of listeners) answer.write(text);
    },
    cut() {
      for (const answer of listeners) answer.destroy();
    },
  };
}

async function listening(server: ReturnType<typeof createSocketServer>, cutAll: () => Promise<void>): Promise<Between> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      await cutAll();
      await closed;
    },
  };
}
