import type { Pool } from "pg";
import type { Logger } from "pino";
import type { Register } from "../../shared/definition/register.ts";
import type { Entry } from "../../shared/ledger/entry.ts";
import type { App } from "../../shared/platform/http.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { createBounds } from "./bounds.ts";
import { createDataKeys } from "./data-keys.ts";
import type { EvidenceSources } from "./evidence-file.ts";
import { addEvidence, type EvidenceRoutes } from "./evidence-routes.ts";
import { createFacts, type FactSources } from "./facts.ts";
import type { PublicLog } from "./log.ts";
import { addJudgements, addStatements, type OpenRoutes } from "./open-routes.ts";
import { createOpener, type Opener, type OpenerSources } from "./opener.ts";
import { addReleaseProofs, type ReleaseProofRoutes } from "./release-proofs.ts";
import type { Shelf } from "./shelf.ts";
import * as store from "./store.ts";

/** What is asked of the database: nothing that it says is believed. */
export type Stored = Pick<OpenRoutes, "findStatement" | "selectJudgements" | "selectDataKeys"> &
  Pick<ReleaseProofRoutes, "selectFound" | "selectCosignedOver" | "selectBestOver"> &
  Pick<OpenerSources, "selectSealed" | "selectBodies"> &
  Pick<FactSources, "selectClear" | "selectForeign" | "selectUses"> & {
    /** Shares of a data key, by its id in hex. */
    selectDataKeyShares: (id: string) => Promise<Uint8Array[]>;
  };

export function storedIn(pool: Pool): Stored {
  return {
    findStatement: (sha256) => store.findStatement(pool, sha256),
    selectFound: (index) => store.selectFound(pool, index),
    selectSealed: (index) => store.selectSealed(pool, index),
    selectBodies: (from, to) => store.selectBodies(pool, from, to),
    selectJudgements: (from, to, maxBytes) => store.selectJudgements(pool, from, to, maxBytes),
    selectDataKeys: (from, to) => store.selectDataKeys(pool, from, to),
    selectDataKeyShares: (id) => store.selectDataKeyShares(pool, id),
    selectClear: (indexes, maxBytes) => store.selectClear(pool, indexes, maxBytes),
    selectUses: (asked) => store.selectUses(pool, asked),
    selectForeign: (from, to) => store.selectForeign(pool, from, to),
    selectCosignedOver: (index, lines) => store.selectCosignedOver(pool, index, lines),
    selectBestOver: (index) => store.selectBestOver(pool, index),
  };
}

export interface OpeningSources extends Pick<EvidenceSources, "authorities"> {
  stored: Stored;
  register: Register;
  publicLog: PublicLog;
  /** It decides how far the log is open; the database does not. */
  shelf: Pick<Shelf, "list" | "latest">;
  /** How many of the definition's witnesses a checkpoint needs; 0 without witnesses. */
  quorum: number;
  /** Whole seconds from 1 to 5, drawn anew each time. */
  retrySeconds: () => number;
  /** Milliseconds. */
  now: () => number;
  log: Logger;
}

/** All that opens after the lift, and what follows from what was open before. Its `facts` want rounds. */
export type Opening = OpenRoutes & ReleaseProofRoutes & EvidenceRoutes;

export function createOpening({ stored, ...sources }: OpeningSources): Opening {
  const { publicLog, register, shelf, now, log } = sources;
  const opener = createOpener({
    log: publicLog,
    keys: createDataKeys(stored.selectDataKeyShares),
    selectSealed: stored.selectSealed,
    selectBodies: stored.selectBodies,
  });
  const entry = entryReader(stored, opener);
  const facts = createFacts({ ...stored, definition: register.hash, publicLog, shelf, opener, entry, log });
  return { ...sources, ...stored, opener, facts, bounds: createBounds(now) };
}

function entryReader({ selectFound }: Stored, opener: Opener): (index: number) => Promise<Entry> {
  return async (index) => {
    const found = await selectFound(index);
    const entry = found && (await opener.entry(index, found.body));
    if (entry === undefined || entry.type === "definition") throw new LogBroken(`entry ${index} has left the database`);
    return entry;
  };
}

/** `/statements/…`, `/log/judgements/…`, `/v1/releases/…/proof` and `/statement`, `/v1/evidence…`. What is refused before the lift by its
 * path alone is refused before these: `isEmbargoed`. */
export function addOpened(app: App, opening: Opening): void {
  addStatements(app, opening);
  addJudgements(app, opening);
  addReleaseProofs(app, opening);
  addEvidence(app, opening);
}
