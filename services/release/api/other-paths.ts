import { z } from "zod";
import { Definition } from "../../../shared/definition/schema.ts";
import { Evidence } from "../../../shared/ledger/evidence.ts";
import {
  bytes,
  EMBARGOED,
  get,
  given,
  HELD,
  header,
  inPath,
  json,
  refTo,
  schemaOf,
  text,
  UNKNOWN,
} from "./components.ts";

/** What the OpenAPI document says of the log, of what opens with the lift, of the definition and of the service itself. */

const Index = z.number().int().nonnegative();
const EvidenceList = z.strictObject({
  election: z.string(),
  mode: z.enum(["live", "exercise"]),
  definition: z.string(),
  size: Index,
  complete: z.boolean(),
  equivocations: z.array(
    z.strictObject({ key: z.string(), sequence: z.number().int(), indexes: z.array(Index), url: z.string() }),
  ),
  gaps: z.array(z.strictObject({ key: z.string(), from: z.number().int(), to: z.number().int(), url: z.string() })),
});
const Code = z.strictObject({
  code: z.string(),
  status: z.number().int().optional(),
  means: z.string(),
  todo: z.string(),
});
const Readiness = z.strictObject({
  status: z.enum(["ready", "unready"]),
  checks: z.record(z.string(), z.boolean()),
  latest: Index,
  log: Index,
});

export const OTHER_SCHEMAS = {
  Definition: schemaOf(Definition),
  EvidenceList: schemaOf(EvidenceList),
  Evidence: schemaOf(Evidence),
  Code: schemaOf(Code),
  Codes: schemaOf(z.strictObject({ codes: z.array(Code) })),
  Readiness: schemaOf(Readiness),
  Health: schemaOf(z.strictObject({ status: z.literal("ok"), service: z.string() })),
};

const SHA256 = inPath("sha256", "^[0-9a-f]{64}$", "Of the signed bytes, as the receipt names them.", "0".repeat(64));
const KEY = inPath("key", "^[A-Za-z0-9-]{1,64}$", "A key's id.", "AT-1");
const TAGS = [header("If-None-Match", "Tags that the client holds: 304 for one of them.")];
const JOSE = { ...bytes("application/jose"), ...bytes("application/jose+json") };

export const OTHER_PATHS = {
  "/log/checkpoint": get({
    id: "checkpoint",
    tag: "Log",
    summary: "The signed head of the log, with its witnesses' lines (C2SP tlog-checkpoint).",
    parameters: TAGS,
    responses: [given("A signed note.", text("text/plain")), UNKNOWN, HELD],
  }),
  "/log/tile/{tile}": get({
    id: "tile",
    tag: "Log",
    summary: "A tile of hashes, or a bundle of entries (C2SP tlog-tiles).",
    description:
      "`<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`, slashes and all. Full ones never change. Open from the first entry on: entries hold no figure.",
    parameters: [{ name: "tile", in: "path", required: true, schema: { type: "string" }, example: "0/000" }, ...TAGS],
    responses: [given("Hashes, or entries each after its length.", bytes("application/octet-stream")), UNKNOWN, HELD],
  }),
  "/v1/proofs/{sha256}": get({
    id: "proof",
    tag: "Log",
    summary: "That a statement is in the log: a tlog-proof file (C2SP), which verifies offline.",
    parameters: [SHA256, ...TAGS],
    responses: [given("The file.", text("text/plain")), UNKNOWN, HELD],
  }),
  "/statements/{sha256}": get({
    id: "statement",
    tag: "Log",
    summary:
      "A statement's signed bytes as they were received; one with figures from the first release on that counts it.",
    parameters: [SHA256, ...TAGS],
    responses: [given("The JWS.", JOSE), EMBARGOED, UNKNOWN, HELD],
  }),
  "/log/judgements/{bundle}": get({
    id: "judgements",
    tag: "Log",
    summary:
      "The ledger's judgements of 256 entries, a line each; `null` for an entry that has none, or whose state is on hold.",
    parameters: [
      inPath("bundle", "^(0|[1-9][0-9]{0,11})$", "The number of the bundle: entries from 256 times it on.", "0"),
      ...TAGS,
    ],
    responses: [given("Lines of JSON.", text("application/x-ndjson")), EMBARGOED, UNKNOWN, HELD],
  }),
  "/v1/evidence": get({
    id: "listEvidence",
    tag: "Log",
    summary: "Keys that signed two statements under one number, and numbers that are missing.",
    parameters: TAGS,
    responses: [given("The list.", json(refTo("EvidenceList"))), HELD],
  }),
  "/v1/evidence/equivocation/{key}/{sequence}": get({
    id: "equivocation",
    tag: "Log",
    summary: "Evidence of two statements under one number, in one file that stands alone.",
    parameters: [KEY, inPath("sequence", "^[1-9][0-9]{0,12}$", "The number.", "1"), ...TAGS],
    responses: [given("The file.", json(refTo("Evidence"))), EMBARGOED, UNKNOWN, HELD],
  }),
  "/v1/evidence/gap/{key}/{range}": get({
    id: "gap",
    tag: "Log",
    summary: "Evidence of numbers that are missing, by what lies on either side.",
    parameters: [KEY, inPath("range", "^[1-9][0-9]{0,12}-[1-9][0-9]{0,12}$", "From and to.", "2-3"), ...TAGS],
    responses: [given("The file.", json(refTo("Evidence"))), EMBARGOED, UNKNOWN, HELD],
  }),
  "/v1/definition": get({
    id: "definition",
    tag: "Definition",
    summary:
      "What is counted, and how: states, constituencies, lists, keys, closings, rules for seats. Open before the lift.",
    parameters: TAGS,
    responses: [given("Its exact bytes.", json(refTo("Definition"))), HELD],
  }),
  "/v1/definition/signatures": get({
    id: "definitionSignatures",
    tag: "Definition",
    summary: "The election authority's signatures over these bytes.",
    parameters: TAGS,
    responses: [given("A detached JWS.", { "application/jose+json": { schema: refTo("DetachedSignatures") } }), HELD],
  }),
  "/": get({ id: "front", tag: "Service", summary: "The front page.", responses: [given("HTML.", text("text/html"))] }),
  "/api": get({
    id: "api",
    tag: "Service",
    summary: "This document, to read.",
    responses: [given("HTML.", text("text/html"))],
  }),
  "/openapi.json": get({
    id: "openapi",
    tag: "Service",
    summary: "This document.",
    parameters: TAGS,
    responses: [given("OpenAPI 3.1.", json({ type: "object" })), HELD],
  }),
  "/verify": get({
    id: "verify",
    tag: "Service",
    summary: "A page that verifies proofs and statements in the reader's own browser.",
    responses: [given("HTML.", text("text/html"))],
  }),
  "/verify/{file}": get({
    id: "verifyFile",
    tag: "Service",
    summary: "The page's scripts and style, as they lie in the source.",
    parameters: [inPath("file", "^[a-z0-9]+\\.(js|css)$", "A file.", "verify.js"), ...TAGS],
    responses: [given("The file.", { ...text("text/javascript"), ...text("text/css") }), UNKNOWN, HELD],
  }),
  "/v1/codes": get({
    id: "codes",
    tag: "Service",
    summary: "Every code that a refusal or a verdict may carry, with what it means and what to do.",
    responses: [given("The catalogue.", json(refTo("Codes")))],
  }),
  "/v1/codes/{code}": get({
    id: "code",
    tag: "Service",
    summary: "One of them.",
    parameters: [inPath("code", "^[A-Za-z0-9.-]{1,64}$", "A code.", "embargo.in-force")],
    responses: [given("What it means.", json(refTo("Code"))), UNKNOWN],
  }),
  "/healthz": get({
    id: "healthz",
    tag: "Service",
    summary: "The process lives.",
    responses: [given("It does.", json(refTo("Health")))],
  }),
  "/readyz": get({
    id: "readyz",
    tag: "Service",
    summary: "Whether the service can do its work, part by part.",
    responses: [
      given("It can.", json(refTo("Readiness"))),
      { "503": { description: "It cannot.", content: json(refTo("Readiness")) } },
    ],
  }),
  "/metrics": get({
    id: "metrics",
    tag: "Service",
    summary: "Prometheus' text format.",
    responses: [given("Metrics.", text("text/plain"))],
  }),
};
