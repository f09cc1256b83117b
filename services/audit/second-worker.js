// The equation of Ed25519 by tweetnacl, on a thread of its own: about 100 a second. JavaScript, because a worker of Node 20 does not see
// tsx's loader, and loading it again costs each thread 15 MiB. Everything else of this check is in second.ts.
import { parentPort } from "node:worker_threads";
import nacl from "tweetnacl";

parentPort?.on("message", ({ id, signed, signature, publicKey }) => {
  parentPort?.postMessage({ id, holds: nacl.sign.detached.verify(signed, signature, publicKey) });
});
