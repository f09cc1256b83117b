import * as say from "./judge-sample.ts";
import { CLOSE, LATER, of, one, type Row, SAMPLE, type Sent, with_ } from "./judge-sample.ts";

/** What the rules for keys refuse, each beside its nearest neighbour that they let through; for the table of every code. */

/** A key that is not strict: the identity. */
const SMALL = `AQ${"A".repeat(41)}`;
const key = (id: string) => {
  const found = SAMPLE.keys.get(id);
  if (found === undefined) throw new RangeError(`the sample has no key ${id}`);
  return found;
};
const by = (sent: Sent, ...kids: string[]): Sent => with_(sent, { by: kids });
const idOf = (sent: Sent, id: string): Sent => {
  const { statement } = sent;
  if (statement.type !== "key" || statement.change !== "enrol") throw new TypeError("no enrolment");
  return { ...by(sent, "trustee-1", "trustee-2", id), statement: { ...statement, key: { ...statement.key, id } } };
};
const rotation = say.rotates("AT-1", "AT-9");

// biome-ignore format: one case per line is what one reads
export const KEY_ROWS: Row[] = [
  ["F.103", "a revocation by one trustee", say.revokes("AT-1", CLOSE, "trustee-1"), say.revokes("AT-1", CLOSE, "trustee-1", "trustee-3")],
  ["F.103", "an enrolment by one trustee", by(say.enrols("AT-9", "Eva"), "trustee-1", "AT-9"), say.enrols("AT-9", "Eva")],
  ["F.104", "a rotation of another state's key", by(say.rotates("LU-1", "LU-9"), "AT-1", "LU-9"), say.rotates("LU-1", "LU-9")],
  ["F.104", "a rotation by a colleague", by(rotation, "AT-2", "AT-9"), rotation],
  ["F.104", "a rotation that a colleague signs too", by(rotation, "AT-1", "AT-9", "AT-2"), rotation],
  ["F.104", "a rotation by the back-up key", by(rotation, "AT-backup", "AT-9"), rotation],
  ["F.104", "a rotation by trustees", by(rotation, "trustee-1", "trustee-2", "AT-9"), rotation],
  ["F.104", "a rotation under another state", of(rotation, "LU"), rotation],
  ["F.104", "a rotation for the Union", of(rotation, "EU"), rotation],
  ["F.104", "a rotation that the new key begins", by(rotation, "AT-9", "AT-1"), rotation],
  ["F.104", "a revocation by an ordinary key", say.revokes("AT-2", CLOSE, "AT-1"), say.revokes("AT-2", CLOSE, "AT-backup")],
  ["F.104", "a key that revokes itself", say.revokes("AT-1", CLOSE, "AT-1"), say.revokes("AT-1", CLOSE, "AT-backup")],
  ["F.104", "a back-up key that revokes itself", say.revokes("AT-backup", CLOSE, "AT-backup"), say.revokes("AT-backup", CLOSE)],
  ["F.104", "a revocation by another state's back-up key", say.revokes("AT-1", CLOSE, "LU-backup"), say.revokes("LU-1", CLOSE, "LU-backup")],
  ["F.104", "another state's back-up key that says it is this one's", of(say.revokes("AT-1", CLOSE, "LU-backup"), "AT"), say.revokes("AT-1", CLOSE, "AT-backup")],
  ["F.104", "a back-up key for the Union", of(say.revokes("AT-1", CLOSE, "AT-backup"), "EU"), say.revokes("AT-1", CLOSE)],
  ["F.104", "trustees who revoke for a state", of(say.revokes("AT-1", CLOSE), "AT"), say.revokes("AT-1", CLOSE)],
  ["F.104", "a back-up key and a trustee", say.revokes("AT-1", CLOSE, "AT-backup", "trustee-1"), say.revokes("AT-1", CLOSE, "AT-backup")],
  ["F.104", "an enrolment by an office", by(say.enrols("AT-9", "Eva"), "AT-1", "AT-2", "AT-9"), say.enrols("AT-9", "Eva")],
  ["F.104", "an enrolment by the back-up key", by(say.enrols("AT-9", "Eva"), "AT-backup", "AT-9"), say.enrols("AT-9", "Eva")],
  ["F.104", "an enrolment that an office signs too", by(say.enrols("AT-9", "Eva"), "trustee-1", "trustee-2", "AT-9", "AT-1"), say.enrols("AT-9", "Eva")],
  ["F.104", "an enrolment for a state", of(say.enrols("AT-9", "Eva"), "AT"), say.enrols("AT-9", "Eva")],
  ["F.104", "an enrolment that the new key begins", by(say.enrols("AT-9", "Eva"), "AT-9", "trustee-1", "trustee-2"), say.enrols("AT-9", "Eva")],
  ["F.104", "a key change by both counts", by(say.enrols("AT-9", "Eva"), "tabulate-1", "recount-1", "AT-9"), say.enrols("AT-9", "Eva")],
  ["F.104", "a tally by the back-up key", by(one(), "AT-backup"), one()],
  ["F.104", "a tally that the back-up key cosigns", by(one(), "AT-1", "AT-backup"), by(one(), "AT-1", "AT-2")],
  ["F.104", "a closure by the back-up key", by(say.closed("AT"), "AT-backup"), say.closed("AT")],
  ["F.104", "a void by the back-up key", by(say.voids(900_002), "AT-backup"), say.voids(900_002)],
  ["F.104", "a declaration that the back-up key cosigns", say.declares("AT", "final", ["AT-1", "AT-backup"]), say.declares("AT", "final", ["AT-1", "AT-2"]), [say.ALL_OF_AT]],
  ["F.105", "a tally by a key that was replaced", one(), by(one(), "AT-9"), [say.rotates("AT-1", "AT-9")]],
  ["F.105", "a tally by a key that was revoked", one(), by(one(), "AT-2"), [say.revokes("AT-1", CLOSE)]],
  ["F.105", "a cosigner whose key was revoked", by(one(), "AT-2", "AT-1"), by(one(), "AT-2", "AT-3"), [say.revokes("AT-1", CLOSE)]],
  ["F.105", "a second rotation by a key that was replaced", say.rotates("AT-1", "AT-8"), say.rotates("AT-9", "AT-8"), [say.rotates("AT-1", "AT-9")]],
  ["F.105", "a revocation by a back-up key that was revoked", say.revokes("AT-1", CLOSE, "AT-backup"), say.revokes("AT-1", CLOSE), [say.revokes("AT-backup", CLOSE)]],
  ["F.409", "an id of the definition", say.rotates("AT-1", "AT-2"), say.rotates("AT-1", "AT-9")],
  ["F.409", "another's public key under a new id", say.rotates("AT-1", "AT-9", say.publicKeyOf("LU-1")), say.rotates("AT-1", "AT-9")],
  ["F.409", "its own public key under a new id", say.rotates("AT-1", "AT-9", say.publicKeyOf("AT-1")), say.rotates("AT-1", "AT-9")],
  ["F.409", "an id of the authority", idOf(say.enrols("AT-9", "Eva"), "authority-1"), say.enrols("AT-9", "Eva")],
  ...["authority-1", "vault", "recovery"].map((whose): Row => {
    const publicKey = (whose === "vault" ? SAMPLE.vault : whose === "recovery" ? SAMPLE.recovery : key(whose)).jwk.x;
    return ["F.409", `the public key of ${whose}`, say.enrols("AT-9", "Eva", { publicKey }), say.enrols("AT-9", "Eva")];
  }),
  ["F.409", "an id that was replaced", say.rotates("AT-2", "AT-1"), say.rotates("AT-2", "AT-8"), [say.rotates("AT-1", "AT-9")]],
  ["F.409", "a public key that was revoked", say.enrols("AT-8", "Anna", { publicKey: say.publicKeyOf("AT-1") }), say.enrols("AT-8", "Anna"), [say.revokes("AT-1", CLOSE)]],
  ["F.410", "a rotation without the new key", by(say.rotates("AT-1", "AT-9"), "AT-1"), say.rotates("AT-1", "AT-9")],
  ["F.410", "an enrolment without the new key", by(say.enrols("AT-9", "Eva"), "trustee-1", "trustee-2"), say.enrols("AT-9", "Eva")],
  ["F.411", "a key that is nowhere", say.revokes("AT-9", CLOSE), say.revokes("AT-1", CLOSE)],
  ["F.411", "a trustee's key", say.revokes("trustee-3", CLOSE), say.revokes("AT-3", CLOSE)],
  ["F.411", "the ledger's key", say.revokes("ledger-1", CLOSE), say.revokes("LU-1", CLOSE)],
  ["F.411", "an instant ahead", say.revokes("AT-1", LATER + 1), say.revokes("AT-1", LATER)],
  ["F.411", "a revocation that says nothing new", say.revokes("AT-1", CLOSE), say.revokes("AT-1", CLOSE - 1), [say.revokes("AT-1", CLOSE)]],
  ["F.411", "a later instant than the one in force", say.revokes("AT-1", CLOSE + 1, "AT-backup"), say.revokes("AT-2", CLOSE + 1, "AT-backup"), [say.revokes("AT-1", CLOSE)]],
  ["F.412", "a key of small order", say.rotates("AT-1", "AT-9", SMALL), say.rotates("AT-1", "AT-9")],
  ["F.412", "a key with set trailing bits", say.enrols("AT-9", "Eva", { publicKey: `${"A".repeat(42)}B` }), say.enrols("AT-9", "Eva")],
  ["F.413", "a key of no state", say.enrols("AT-9", "Eva", { state: "FR" }), say.enrols("AT-9", "Eva")],
  ["F.413", "an office of the Union", say.enrols("AT-9", "Eva", { state: "EU" }), say.enrols("AT-9", "Eva")],
];
