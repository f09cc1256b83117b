import { z } from "zod";

/** How an EML or NIST file's own names become the definition's. All of it may be left out: then the file's own ids stand. */
export const TreeMapping = z.strictObject({
  format: z.enum(["eml", "nist"]).optional(),
  status: z.enum(["provisional", "final"]).default("final"),
  /** The unit's id: text with `{id}` (the reporting unit's), `{contest}` and `{authority}`. */
  unit: z.string().min(1).max(500).default("{id}"),
  /** Units whose ids follow no template, by the file's. */
  units: z.record(z.string(), z.string()).default({}),
  /** Lists by the file's id or registered name. */
  lists: z.record(z.string(), z.string().regex(/^[A-Z]{2}\d{2,3}$/)).default({}),
});
export type TreeMapping = z.infer<typeof TreeMapping>;

const LIST_ID = /^[A-Z]{2}\d{2,3}$/;

/** A list's id: as mapped by its id or name, or whichever of these is an id of the definition's kind already, or the file's. */
export function listOf(mapping: TreeMapping, ...names: readonly (string | undefined)[]): string {
  const known = names.filter((name) => name !== undefined && name !== "") as string[];
  for (const name of known) {
    const mapped = Object.hasOwn(mapping.lists, name) ? mapping.lists[name] : undefined;
    if (mapped !== undefined) return mapped;
  }
  return known.find((name) => LIST_ID.test(name)) ?? known[0] ?? "";
}

/** A unit's id by the mapping; what no id may hold becomes "_" in what the template takes in. */
export function unitOf(mapping: TreeMapping, given: { id: string; contest: string; authority: string }): string {
  const mapped = Object.hasOwn(mapping.units, given.id) ? mapping.units[given.id] : undefined;
  if (mapped !== undefined) return mapped;
  if (mapping.unit === "{id}") return given.id;
  return mapping.unit.replaceAll(/\{(id|contest|authority)\}/g, (_, name: keyof typeof given) =>
    given[name].replaceAll(/[^A-Za-z0-9.-]/g, "_"),
  );
}
