import { z } from "zod";
import {
  ChangesSchema,
  ListedSchema,
  OneConstituency,
  OneState,
  ReleaseList,
  ReleaseSchema,
  Sha256,
  StateList,
} from "../../../shared/formats/release-schema.ts";
import { FileList } from "../files.ts";
import { EMBARGOED, get, given, HELD, header, inPath, json, refTo, schemaOf, text, UNKNOWN } from "./components.ts";

/** What the OpenAPI document says of the results. */

export const RESULT_SCHEMAS = {
  Release: schemaOf(ReleaseSchema),
  ReleaseList: schemaOf(ReleaseList),
  StateList: schemaOf(StateList),
  OneState: schemaOf(OneState),
  OneConstituency: schemaOf(OneConstituency),
  Changes: schemaOf(ChangesSchema),
  /** An event of the stream, as its parser gives it. */
  Announced: {
    type: "object",
    properties: {
      event: { const: "release" },
      id: { type: "string", pattern: "^[1-9][0-9]*$" },
      data: {
        type: "string",
        contentMediaType: "application/json",
        contentSchema: schemaOf(ListedSchema.extend({ previous: Sha256.nullable() })),
      },
    },
    required: ["event", "id", "data"],
  },
  FileList: schemaOf(FileList),
  DetachedSignatures: schemaOf(
    z.strictObject({ signatures: z.array(z.strictObject({ protected: z.string(), signature: z.string() })) }),
  ),
};

const RELEASE = inPath("release", "^(latest|[1-9][0-9]{0,8})$", "A release's number, or `latest`.", "latest");
const NUMBER = inPath("number", "^[1-9][0-9]{0,8}$", "A release's number.", "1");
const NAME = inPath(
  "release",
  "^(latest|[1-9][0-9]{0,8})(\\.csv)?$",
  "A release's number, or `latest`; with `.csv` behind it, the same as CSV.",
  "latest",
);
const STATE = inPath("state", "^[A-Z]{2}$", "A state by the EU's two letters, such as EL.", "AT");
const CONSTITUENCY = inPath("constituency", "^.{1,64}$", "An id of the definition.", "AT");
const CONDITIONS = [
  header("If-None-Match", "Tags that the client holds: 304 for one of them."),
  header("Accept-Encoding", "Brotli and gzip are there, prepared once."),
];
const WAIT = header(
  "Prefer",
  "`wait=N`, at most 30: a client that has the newest by If-None-Match, and before the lift anyone, is answered when there is a newer one or the time is over.",
);
const SHOWN = [EMBARGOED, UNKNOWN, HELD] as const;

export const RESULT_PATHS = {
  "/v1/releases": get({
    id: "listReleases",
    tag: "Results",
    summary: "Every release, the newest last.",
    parameters: [...CONDITIONS, WAIT],
    responses: [given("The list.", json(refTo("ReleaseList"))), EMBARGOED, HELD],
  }),
  "/v1/releases/{release}": get({
    id: "release",
    tag: "Results",
    summary: "One release: a document that both counts signed, byte for byte.",
    description:
      "CSV for whoever weighs it above JSON by Accept. Under a number it never changes; `latest` moves on at most once a second.",
    parameters: [NAME, ...CONDITIONS, WAIT],
    responses: [given("The document.", { ...json(refTo("Release")), ...text("text/csv") }), ...SHOWN],
  }),
  "/v1/releases/{release}/signatures": get({
    id: "releaseSignatures",
    tag: "Results",
    summary: "The signatures of both counts over the document's bytes.",
    parameters: [RELEASE, ...CONDITIONS],
    responses: [
      given("A detached JWS (RFC 7515, appendix F).", {
        "application/jose+json": { schema: refTo("DetachedSignatures") },
      }),
      ...SHOWN,
    ],
  }),
  "/v1/releases/{number}/proof": get({
    id: "releaseProof",
    tag: "Results",
    summary: "That the log announced this release: the proof of its entry under a checkpoint with its witnesses.",
    parameters: [NUMBER],
    responses: [given("A tlog-proof file (C2SP).", text("text/plain")), ...SHOWN],
  }),
  "/v1/releases/{number}/statement": get({
    id: "releaseStatement",
    tag: "Results",
    summary: "The statement by which both counts announced it.",
    parameters: [NUMBER],
    responses: [
      {
        "303": {
          description: "Where it lies.",
          headers: { Location: { schema: { type: "string", pattern: "^/statements/[0-9a-f]{64}$" } } },
        },
      },
      EMBARGOED,
      UNKNOWN,
    ],
  }),
  "/v1/releases/{release}/states": get({
    id: "listStates",
    tag: "Results",
    summary: "The states of a release, with their status and seats.",
    parameters: [RELEASE, ...CONDITIONS],
    responses: [given("The list.", json(refTo("StateList"))), ...SHOWN],
  }),
  "/v1/releases/{release}/states/{state}": get({
    id: "state",
    tag: "Results",
    summary: "One state's results in a release.",
    parameters: [RELEASE, STATE, ...CONDITIONS],
    responses: [given("As they stand in the release.", json(refTo("OneState"))), ...SHOWN],
  }),
  "/v1/releases/{release}/states/{state}/constituencies/{constituency}": get({
    id: "constituency",
    tag: "Results",
    summary: "One constituency's results in a release.",
    parameters: [RELEASE, STATE, CONSTITUENCY, ...CONDITIONS],
    responses: [given("As they stand in the release.", json(refTo("OneConstituency"))), ...SHOWN],
  }),
  "/v1/releases/{release}/changes": get({
    id: "changes",
    tag: "Results",
    summary: "What is different from an earlier release, and the corrections between the two with their reasons.",
    parameters: [
      RELEASE,
      {
        name: "since",
        in: "query",
        description: "The earlier release's number, at most 50 before; without it, the one before.",
        schema: { type: "integer", minimum: 1 },
      },
      ...CONDITIONS,
    ],
    responses: [given("Old and new, state by state.", json(refTo("Changes"))), ...SHOWN],
  }),
  "/v1/releases/{release}/files": get({
    id: "listFiles",
    tag: "Results",
    summary: "The files that are made of a release: the Parliament's data sheets and other formats.",
    parameters: [RELEASE, ...CONDITIONS],
    responses: [given("The list.", json(refTo("FileList"))), ...SHOWN],
  }),
  "/v1/releases/{release}/files/{file}": get({
    id: "file",
    tag: "Results",
    summary: "One of these files, or the endpoint's signature beside it.",
    parameters: [
      RELEASE,
      {
        name: "file",
        in: "path",
        required: true,
        description:
          "A name of the list, slashes and all; with `.jws` behind it, the detached signature over that file's bytes (JWS, typ scrutin-file+jws).",
        schema: { type: "string" },
        example: "release.csv",
      },
      ...CONDITIONS,
    ],
    responses: [
      given("The file's bytes.", {
        "application/json": { schema: {} },
        ...text("text/csv"),
        ...text("application/xml"),
        ...text("application/jose"),
      }),
      ...SHOWN,
    ],
  }),
  "/v1/stream": get({
    id: "stream",
    tag: "Results",
    summary: "Each release the moment that it is served, as server-sent events.",
    description:
      "Open before the lift too, then with heartbeats alone: comments of one size, every 15 seconds. An event `release` has the number as its id; its data is a row of the list of releases, with `previous`, the hash of the release before it: whoever has another one has missed some, and takes the list. `Last-Event-ID` brings what came since, at most 200 releases.",
    parameters: [header("Last-Event-ID", "The number of the last release that the client has.")],
    responses: [
      {
        "200": { description: "Events without end.", content: { "text/event-stream": { schema: refTo("Announced") } } },
      },
    ],
  }),
};
