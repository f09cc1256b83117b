import { systemClock } from "../../shared/platform/clock.ts";
import { readConfig, refuseConfig } from "../../shared/platform/config.ts";
import { LISTEN, readListen } from "../../shared/platform/credentials.ts";
import { serve } from "../../shared/platform/http.ts";
import { announce, runService } from "../../shared/platform/lifecycle.ts";
import { holdAlone } from "./alone.ts";
import { buildApp } from "./app.ts";
import { openKey } from "./key.ts";
import { takeOptions, WITNESS_KEY_FILE, WITNESS_LOGS, WITNESS_NAME, WITNESS_STATE } from "./options.ts";
import { openState } from "./state.ts";
import { createWitness, readState, StateDamaged } from "./witness.ts";

function options(): void {
  try {
    const asked = takeOptions(process.argv.slice(2), process.env);
    if (asked === undefined) return;
    process.stdout.write(asked.help);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}

options();
runService("witness", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("witness", { ...LISTEN, WITNESS_KEY_FILE, WITNESS_STATE, WITNESS_LOGS, WITNESS_NAME });
  const listen = await readListen(config);
  const { WITNESS_KEY_FILE: file, WITNESS_STATE: folder, WITNESS_LOGS: logs, WITNESS_NAME: name } = config;
  const { key, made } = await openKey({ file, folder, name });
  const alone = await holdAlone(folder);
  if (alone === undefined)
    refuseConfig([
      `WITNESS_STATE: another process works in ${folder}. End it first: two could cosign a fork between them.`,
    ]);
  onStop(() => void alone.close());
  log.info({ verifierKey: key.verifierKey, made }, `cosigning as ${key.verifierKey}`);
  const state = await openState(
    folder,
    logs.map(({ origin }) => origin),
  );
  const deps = { key, logs, state, now: systemClock, log };
  for (const known of logs) {
    const held = await readState(deps, known).catch((error: unknown) => {
      if (error instanceof StateDamaged) refuseConfig([error.message]);
      throw error;
    });
    log.info({ origin: known.origin, size: held?.size ?? 0 }, "watching");
  }
  const app = buildApp({ log, metrics, witness: createWitness(deps), fail });
  const server = await serve(app, { ...listen, log });
  onStop(() => server.close());
  announce(log, server.url);
});
