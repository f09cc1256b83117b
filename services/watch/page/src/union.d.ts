declare module "virtual:union" {
  /** Width and height of the map. */
  export const size: readonly [number, number];
  /** One state: its outline as an SVG path, and where its name goes. */
  export const shapes: readonly { id: string; d: string; x: number; y: number; small: boolean }[];
}
