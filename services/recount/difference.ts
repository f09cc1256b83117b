/**
 * Where two JSON texts first differ, as a path of names and places ("states.3.lists.0.votes"): never a value, for what differs
 * may be a figure. "form" when the values are the same and only the texts differ.
 */
export function firstDifference(a: string, b: string): string {
  return pathOf(JSON.parse(a), JSON.parse(b)) ?? "form";
}

function pathOf(a: unknown, b: unknown): string | undefined {
  if (Object.is(a, b)) return undefined;
  if (
    a === null ||
    b === null ||
    typeof a !== "object" ||
    typeof b !== "object" ||
    Array.isArray(a) !== Array.isArray(b)
  )
    return "";
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const rest = Object.hasOwn(left, name) && Object.hasOwn(right, name) ? pathOf(left[name], right[name]) : "";
    if (rest !== undefined) return rest === "" ? name : `${name}.${rest}`;
  }
  return undefined;
}
