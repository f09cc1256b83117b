import { describe, expect, it } from "vitest";
import { authorityOf, firstAuthority, presentAuthority } from "./authority.ts";
import { judge } from "./judge.ts";
import * as say from "./judge-sample.ts";
import { codes, inputOf, logOf, SAMPLE, type Sent } from "./judge-sample.ts";
import type { LedgerState } from "./state.ts";
import { applyAccepted } from "./state.ts";
import { loadLedgerState, saveLedgerState } from "./state-save.ts";

/** Origins, as rules and as state: how a log comes to go on under another name and key. */

const HEAD = { size: 9, root: Buffer.alloc(32, 9).toString("base64") };
const opens = (changes: object = {}, by = ["trustee-1", "trustee-2"]): Sent => {
  const sent = say.opensOrigin("log.example/2");
  return { ...sent, by, statement: { ...sent.statement, ...HEAD, ...changes } as Sent["statement"] };
};
const codesOf = (sent: Sent, state: LedgerState = logOf(), head: typeof HEAD | null = HEAD) =>
  codes(judge(state, { ...inputOf(sent, state.keys), head: head ?? undefined }, SAMPLE.hash).findings);
/** After entry 9 has opened "log.example/2" with the key ledger-9. */
const opened = (): LedgerState => {
  const state = logOf();
  applyAccepted(state, opens().statement, { index: 9, key: "trustee-1" });
  return state;
};
const key = (id: string, of = id) => ({ key: { id, publicKey: say.publicKeyOf(of) } });
const next = { origin: "log.example/3", ...key("ledger-10") };

describe("a decision that opens an origin", () => {
  it("is accepted on the head that it names", () => {
    expect(codesOf(opens())).toEqual([]);
    expect(codesOf(opens(next), opened())).toEqual([]);
    expect(codesOf(opens({}, ["trustee-1", "trustee-2", "trustee-3"]))).toEqual([]);
  });

  it.each<[string, object]>([
    ["another size", { size: 8 }],
    ["another root", { root: Buffer.alloc(32).toString("base64") }],
    ["the same root, written otherwise", { root: HEAD.root.replace("=", "") }],
    ["the definition's origin", { origin: SAMPLE.definition.origin }],
    ["the ledger's key", key("ledger-1")],
    ["the ledger's key under a new id", key("ledger-9", "ledger-1")],
    ["the ledger's id with a new key", key("ledger-1", "ledger-9")],
    ["a trustee's key", key("ledger-9", "trustee-1")],
    ["a key that is none", { key: { id: "ledger-9", publicKey: `AQ${"A".repeat(41)}` } }],
  ])("is refused when it names %s", (_, changes) => expect(codesOf(opens(changes))).toEqual(["F.408"]));

  it.each<[string, object]>([
    ["origin", { origin: "log.example/2" }],
    ["key", key("ledger-10", "ledger-9")],
    ["key id", key("ledger-9", "ledger-10")],
  ])("is refused when it names the %s of an origin before", (_, changes) =>
    expect(codesOf(opens({ ...next, ...changes }), opened())).toEqual(["F.408"]),
  );

  it("is refused by the ordinary road, from one trustee, and from offices", () => {
    expect(codesOf(opens(), logOf(), null)).toEqual(["F.408"]);
    expect(codesOf(opens({}, ["trustee-1"]))).toEqual(["F.103"]);
    expect(codesOf(opens({}, ["AT-1", "AT-2"]))).toContain("F.104");
  });
});

describe("an origin that was opened", () => {
  it("signs from the checkpoint on that holds its decision", () => {
    const { authorities } = opened();
    expect(authorityOf(authorities, 9)).toMatchObject(firstAuthority(SAMPLE.definition));
    expect(authorityOf(authorities, 10)).toMatchObject({ from: 10, origin: "log.example/2", kid: "ledger-9" });
    expect(presentAuthority(authorities).kid).toBe("ledger-9");
  });

  it("leaves its key to nobody else", () => {
    expect(codesOf(say.enrols("ledger-9", "Eva", { state: "AT" }), opened())).toEqual(["F.409"]);
    expect(codesOf(say.enrols("ledger-9", "Eva", { state: "AT" }))).toEqual([]);
  });

  it("is in a state that is saved and loaded", () => {
    const loaded = loadLedgerState(SAMPLE.definition, SAMPLE.register, saveLedgerState(opened()));
    expect(loaded.authorities).toEqual(opened().authorities);
    expect(codesOf(say.enrols("ledger-9", "Eva", { state: "AT" }), loaded)).toEqual(["F.409"]);
    expect(Buffer.from(saveLedgerState(loaded))).toEqual(Buffer.from(saveLedgerState(opened())));
  });
});
