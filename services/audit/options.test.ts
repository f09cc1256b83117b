import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { verifierKey } from "../../shared/ledger/checkpoint.ts";
import { witnessVerifierKey } from "../../shared/ledger/cosignature.ts";
import { UsageError } from "../../shared/platform/publisher/discrepancy.ts";
import { readOptions } from "./options.ts";
import { defaultStateFile } from "./visit.ts";

const { keys } = sampleDefinition({ witnesses: 1 });
const authority = keys.get("authority-1")!.jwk.x;
const vkey = witnessVerifierKey("witness-1", keys.get("witness-1")!.publicRaw);

describe("the command line", () => {
  it("reads an address and everything that may be said of it", () => {
    const options = readOptions([
      ...[
        "https://results.example.eu/night",
        "--definition-key",
        `authority-1=${authority}`,
        "--definition-key",
        authority,
      ],
      ...["--witness", vkey, "--receipt", "a", "--receipt", "b", "--proof", "c", "--evidence", "d"],
      ...["--state", "s.json", "--json", "--every", "--seed", "7"],
    ]);
    expect(options).toMatchObject({
      definitionKeys: [
        { id: "authority-1", publicKey: authority },
        { id: undefined, publicKey: authority },
      ],
      witnesses: [{ name: "witness-1" }],
      receipts: ["a", "b"],
      proofs: ["c"],
      evidence: ["d"],
      state: "s.json",
      json: true,
      every: true,
      seed: 7,
    });
    expect(options?.url.href).toBe("https://results.example.eu/night");
    expect(readOptions(["http://[::1]:80"])).toMatchObject({
      json: false,
      every: false,
      seed: undefined,
      state: undefined,
    });
    expect(readOptions(["--help"])).toBeUndefined();
  });

  it.each([
    [[], "one address"],
    [["a", "b"], "one address"],
    [["results.example.eu"], "no address"],
    [["file:///etc"], "no address"],
    [["https://example.eu?x"], "without a query"],
    [["https://example.eu", "--definition-key", "authority-1"], "no Ed25519 key"],
    [["https://example.eu", "--definition-key", `a=${"A".repeat(43)}`], "no Ed25519 key"],
    [
      ["https://example.eu", "--witness", verifierKey("log", keys.get("witness-1")!.publicRaw)],
      "no verifier key of a witness",
    ],
    [["https://example.eu", "--witness", vkey.replace("+", "+0")], "no verifier key of a witness"],
    [["https://example.eu", "--seed", "-1"], "seed"],
    [["https://example.eu", "--seed=1.5"], "seed"],
    [["https://example.eu", "--unknown"], "--unknown"],
  ])("refuses %j in a sentence", (args, sentence) => {
    expect(() => readOptions(args)).toThrow(UsageError);
    expect(() => readOptions(args)).toThrow(sentence);
  });
});

describe("the state file", () => {
  it("is one for each address, below the user's state folder", () => {
    const file = (address: string, environment = {}) =>
      defaultStateFile(new URL(address), { HOME: "/home/x", ...environment });
    expect(file("https://results.example.eu")).toMatch(
      /^\/home\/x\/\.local\/state\/scrutin\/audit\/results\.example\.eu-[0-9a-f]{8}\.json$/,
    );
    expect(file("https://results.example.eu/")).toBe(file("https://results.example.eu"));
    const others = [
      "http://results.example.eu",
      "https://results.example.eu:8443",
      "https://results.example.eu/a/b",
      "https://results.example.eu/a_b",
    ];
    expect(new Set([...others, "https://results.example.eu"].map((address) => file(address))).size).toBe(5);
    expect(file("https://a.eu", { XDG_STATE_HOME: "/state" })).toMatch(/^\/state\/scrutin\/audit\/a\.eu-/);
  });
});
