import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { RemoteWitness } from "../services/ledger/witnesses.ts";
import { openKey, type WitnessKey } from "../services/witness/key.ts";
import { openState, originHash } from "../services/witness/state.ts";
import { createWitness } from "../services/witness/witness.ts";
import type { Sample } from "../shared/definition/sample.ts";
import { verifierKey } from "../shared/ledger/checkpoint.ts";
import { ledgerKeyOf } from "./ledger.ts";

/** An answer in a witness' place; `hang`: none, ever. */
export interface Wrong {
  status?: number;
  body?: string;
  type?: string;
  location?: string;
  hang?: boolean;
}

/**
 * A true witness of a sample's log within the test's process, which does what the test wants instead as long as the test wants it. Everything
 * that it was sent is kept.
 */
export interface WaywardWitness {
  remote: RemoteWitness;
  /** The log's verifier key. */
  key: WitnessKey;
  /** Bodies of add-checkpoint, in order. */
  sent: string[];
  /** The most requests that were under way at once. */
  mostAtOnce(): number;
  /** Asked at each request; undefined: the witness answers for itself. */
  instead: ((path: string, body: string) => Wrong | undefined | Promise<Wrong | undefined>) | undefined;
  /** The witness itself, past whoever is asked over HTTP. */
  add(body: string): ReturnType<ReturnType<typeof createWitness>["addCheckpoint"]>;
  close(): Promise<void>;
}

export async function startWaywardWitness(sample: Sample, name: string): Promise<WaywardWitness> {
  const folder = await mkdtemp(join(tmpdir(), "scrutin-test-witness-"));
  const { key } = await openKey({ file: join(folder, "key.json"), folder: join(folder, "state"), name });
  const { origin } = sample.definition;
  const state = await openState(join(folder, "state"), [origin]);
  const logs = [{ origin, publicKey: ledgerKeyOf(sample) }];
  const quiet = pino({ level: "silent" });
  const service = createWitness({ key, logs, state, now: () => Date.now(), log: quiet });
  let atOnce = 0;
  let most = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url ?? "";
    const body = (await request.toArray()).map(String).join("");
    if (path === "/add-checkpoint") witness.sent.push(body);
    const wrong = await witness.instead?.(path, body);
    if (wrong?.hang) return;
    const { status, type, text, location } = wrong === undefined ? await truly(path, body) : inPlace(wrong);
    response.writeHead(status, { "content-type": type, ...(location !== undefined && { location }) });
    response.end(text);
  };
  const truly = async (path: string, body: string): Promise<Answered> => {
    const plain = "text/plain; charset=utf-8";
    if (path === `/${originHash(origin)}/checkpoint`) {
      const note = await service.latest(originHash(origin));
      return note === undefined ? { status: 404, type: plain, text: "" } : { status: 200, type: plain, text: note };
    }
    const given = await service.addCheckpoint(Buffer.from(body));
    if (given.kind === "cosigned") return { status: 200, type: plain, text: given.line };
    if (given.kind === "other-size") return { status: 409, type: "text/x.tlog.size", text: `${given.size}\n` };
    return { status: given.status, type: plain, text: given.why };
  };
  const underWay = new Set<Promise<unknown>>();
  const server = createServer((request, response) => {
    most = Math.max(most, ++atOnce);
    response.once("close", () => atOnce--);
    const answered = answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    underWay.add(answered);
    void answered.then(() => underWay.delete(answered));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const witness: WaywardWitness = {
    remote: { url, name: key.name, publicKey: key.publicKey },
    key,
    sent: [],
    mostAtOnce: () => most,
    instead: undefined,
    add: (body) => service.addCheckpoint(Buffer.from(body)),
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      // What was asked last may still be writing its state down.
      await Promise.all(underWay);
      await rm(folder, { recursive: true, force: true });
    },
  };
  return witness;
}

interface Answered {
  status: number;
  type: string;
  text: string;
  location?: string | undefined;
}

function inPlace({ status = 200, type = "text/plain", body = "", location }: Wrong): Answered {
  return { status, type, text: body, location };
}

/** What witnesses of a sample's log are told of its key. */
export const logKeyOf = (sample: Sample): string => verifierKey(sample.definition.origin, ledgerKeyOf(sample).raw);
