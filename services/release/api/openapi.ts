import type { Definition } from "../../../shared/definition/schema.ts";
import { PARLIAMENT_SECURITY, SEALED_PATHS } from "../sealed.ts";
import { ProblemSchema, schemaOf } from "./components.ts";
import { OTHER_PATHS, OTHER_SCHEMAS } from "./other-paths.ts";
import { RESULT_PATHS, RESULT_SCHEMAS } from "./result-paths.ts";

const DESCRIPTION = `Here the European Parliament, and anyone else, gets the results of an election: numbered releases, each signed by two counts
that share no code, each naming the one before it and the prefix of the log that it counts. Before the lift every path that could hold a figure
answers 403 embargo.in-force.

Everything is read: HEAD is answered as GET without a body, any other method with 405. Any page may read (CORS). Refusals are problem documents
(RFC 9457) whose code is in /v1/codes. Strong ETags, 304, brotli and gzip, and ranges of bytes hold wherever a body is served. Answers under a
number never change and may be kept for ever; \`latest\` may be kept for a second.

One address may ask 200 times a second for results, with a reserve of 1,000 (RateLimit-Policy); then it is told 429 with Retry-After. A client that
wants each release the moment that it is there opens /v1/stream, or asks with Prefer: wait.`;

const TAGS = [
  { name: "Results", description: "Releases, their parts, what changed, and the files made of them." },
  { name: "Sealed", description: "The next release as it lies sealed, for the Parliament alone." },
  { name: "Log", description: "The public log, and what opens with the lift." },
  { name: "Definition", description: "What is counted, and how." },
  { name: "Service", description: "Pages, codes, health." },
];

export type OpenApi = ReturnType<typeof openApi>;

/** The publication endpoint of this election as an OpenAPI 3.1 document, made of the schemas that answers are tested against. */
export function openApi({ mode, title, publication }: Pick<Definition, "mode" | "title" | "publication">) {
  const sealed = publication === undefined ? {} : SEALED_PATHS;
  const paths: Record<string, { get: { responses: object; summary: string; operationId: string } & object }> = {
    ...RESULT_PATHS,
    ...sealed,
    ...OTHER_PATHS,
  };
  return {
    openapi: "3.1.0",
    info: {
      title: `${mode === "exercise" ? "EXERCISE: " : ""}${title}`,
      version: "1",
      description: DESCRIPTION,
      license: { name: "EUPL-1.2", identifier: "EUPL-1.2" },
    },
    servers: [{ url: "/" }],
    tags: TAGS,
    paths,
    components: {
      schemas: { Problem: schemaOf(ProblemSchema), ...RESULT_SCHEMAS, ...OTHER_SCHEMAS },
      securitySchemes: { parliament: PARLIAMENT_SECURITY },
    },
  };
}
