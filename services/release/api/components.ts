import { z } from "zod";
import { PROBLEMS, type ProblemCode } from "../../../shared/statement/problems.ts";

/** What the paths of the OpenAPI document have in common. */

export type Schema = Record<string, unknown>;
export type Responses = Record<string, object>;

/** JSON Schema 2020-12 of a zod schema, as a part of a larger document. */
export function schemaOf(schema: z.ZodType): Schema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { unrepresentable: "any", io: "output" }) as Schema;
  return rest;
}

export const refTo = (name: string) => ({ $ref: `#/components/schemas/${name}` });

/** RFC 9457. */
export const ProblemSchema = z.strictObject({
  type: z.string().regex(/^\/v1\/codes\//),
  title: z.string(),
  status: z.number().int(),
  code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
  detail: z.string(),
});

const RETRY_AFTER = {
  "Retry-After": {
    description: "Whole seconds until it is worth asking again.",
    schema: { type: "integer", minimum: 1 },
  },
};
const problem = (description: string, headers: object = {}) => ({
  description,
  headers,
  content: { "application/problem+json": { schema: refTo("Problem") } },
});

/** Answers that any address may give, whatever is asked. */
const ALWAYS: Responses = {
  "400": problem("The request could not be understood."),
  "429": problem("This address has asked too much; RateLimit-Policy says how much that is.", RETRY_AFTER),
  "503": problem("A part that this needs is away, or the service is at its limit.", RETRY_AFTER),
};
export const EMBARGOED: Responses = {
  "403": problem("Before the lift, the same for every path that could hold a figure.", RETRY_AFTER),
};
export const refused = (status: string, description: string): Responses => ({ [status]: problem(description) });
export const UNKNOWN: Responses = { "404": problem("There is no such thing; the detail says where to look.") };

const ETAG = { ETag: { description: "Strong; each coding has its own.", schema: { type: "string" } } };

/** Bodies of which part can be asked for, and that a client may hold already. */
export const HELD: Responses = {
  "206": { description: "The bytes that were asked for, of the body without a coding.", content: { "*/*": {} } },
  "304": { description: "The client has it.", headers: ETAG },
  "416": problem("There are no such bytes; Content-Range says how many there are."),
};

export interface Content {
  [mediaType: string]: { schema: Schema };
}

/** 200 with this body. */
export function given(description: string, content: Content): Responses {
  return { "200": { description, headers: ETAG, content } };
}

export const json = (schema: Schema): Content => ({ "application/json": { schema } });
export const text = (mediaType: string): Content => ({ [mediaType]: { schema: { type: "string" } } });
export const bytes = (mediaType: string): Content => ({
  [mediaType]: { schema: { type: "string", contentMediaType: mediaType } },
});

export interface Operation {
  id: string;
  summary: string;
  description?: string;
  tag: "Results" | "Sealed" | "Log" | "Definition" | "Service";
  parameters?: readonly object[];
  security?: readonly object[];
  responses: readonly Responses[];
}

/** A path item with its one operation: everything here is read. HEAD is answered as GET, without the body. */
export function get({ id, summary, description, tag, parameters = [], security, responses }: Operation) {
  const all = Object.assign({}, ALWAYS, ...responses) as Responses;
  const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    get: {
      operationId: id,
      summary,
      ...(description === undefined ? {} : { description }),
      tags: [tag],
      ...(security === undefined ? {} : { security }),
      ...(parameters.length === 0 ? {} : { parameters }),
      responses: sorted,
    },
  };
}

export const inPath = (name: string, pattern: string, description: string, example: string) => ({
  name,
  in: "path",
  required: true,
  description,
  schema: { type: "string", pattern },
  example,
});
export const header = (name: string, description: string) => ({
  name,
  in: "header",
  description,
  schema: { type: "string" },
});
