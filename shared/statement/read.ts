import { parseStrict } from "./json.ts";
import type { ProblemCode } from "./problems.ts";
import { STATEMENTS, type Statement } from "./types.ts";

export type ReadStatement =
  | { kind: "statement"; statement: Statement }
  | { kind: "refused"; code: ProblemCode; detail: string };

/**
 * Reads a payload whose signature holds: strict JSON, then the shape of its type. `detail` names the first difference by
 * its path, never by its value, so that refusals and logs hold no figures.
 */
export function readStatement(payload: Uint8Array): ReadStatement {
  const parsed = parseStrict(payload);
  if (parsed.kind === "refused") return { kind: "refused", code: parsed.code, detail: `At character ${parsed.at}.` };
  const { value } = parsed;
  const type = value !== null && typeof value === "object" && !Array.isArray(value) ? value.type : undefined;
  if (typeof type !== "string" || !Object.hasOwn(STATEMENTS, type)) {
    return {
      kind: "refused",
      code: "statement.malformed",
      detail: `\`type\` is none of ${Object.keys(STATEMENTS).join(", ")}.`,
    };
  }
  const read = STATEMENTS[type as keyof typeof STATEMENTS].safeParse(value);
  if (read.success) return { kind: "statement", statement: read.data };
  const issue = read.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? "the payload" : `\`${issue.path.join(".")}\``;
  return { kind: "refused", code: "statement.malformed", detail: `In ${where}: ${issue?.message ?? "invalid"}.` };
}
