/**
 * Where two JSON documents differ first, as a sentence for whoever reads the report: "states[IT].lists[IT05].seats is 9 as served, 8 by
 * recount". Members of a list are named by what identifies them. Undefined if they say the same.
 */
export function firstDifference(served: unknown, ours: unknown, by: string): string | undefined {
  const found = differ(served, ours, "");
  if (found === undefined) return undefined;
  return `${found.path || "the document"} is ${brief(found.served)} as served, ${brief(found.ours)} by ${by}`;
}

interface Found {
  path: string;
  served: unknown;
  ours: unknown;
}

function differ(served: unknown, ours: unknown, path: string): Found | undefined {
  if (!isBranch(served) || !isBranch(ours) || Array.isArray(served) !== Array.isArray(ours))
    return Object.is(served, ours) ? undefined : { path, served, ours };
  for (const name of new Set([...Object.keys(served), ...Object.keys(ours)])) {
    const [a, b] = [(served as Record<string, unknown>)[name], (ours as Record<string, unknown>)[name]];
    const found = differ(a, b, stepTo(path, name, Array.isArray(ours) ? (b ?? a) : undefined));
    if (found !== undefined) return found;
  }
  return undefined;
}

const isBranch = (value: unknown): value is object => value !== null && typeof value === "object";

function stepTo(path: string, name: string, member: unknown): string {
  if (member === undefined) return path === "" ? name : `${path}.${name}`;
  const { state, constituency, id } = (isBranch(member) ? member : {}) as Record<string, unknown>;
  return `${path}[${String(state ?? constituency ?? id ?? name)}]`;
}

function brief(value: unknown): string {
  if (value === undefined) return "absent";
  const text = JSON.stringify(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}
