import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { geoArea, geoCentroid, geoConicConformal, geoPath } from "d3-geo";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { defineConfig, type Plugin } from "vite";

/**
 * The dashboard's build. The map is drawn here, not in the browser: outlines of the 27 states as SVG paths, from Natural Earth (public domain) by
 * way of world-atlas at 1:50 million; at 1:110 million Malta is missing.
 */

/** ISO 3166-1 numeric codes, as world-atlas names countries, by the codes that the definition uses. */
const STATES: Readonly<Record<string, string>> = {
  "040": "AT",
  "056": "BE",
  "100": "BG",
  "191": "HR",
  "196": "CY",
  "203": "CZ",
  "208": "DK",
  "233": "EE",
  "246": "FI",
  "250": "FR",
  "276": "DE",
  "300": "EL",
  "348": "HU",
  "372": "IE",
  "380": "IT",
  "428": "LV",
  "440": "LT",
  "442": "LU",
  "470": "MT",
  "528": "NL",
  "616": "PL",
  "620": "PT",
  "642": "RO",
  "703": "SK",
  "705": "SI",
  "724": "ES",
  "752": "SE",
};
const WIDTH = 600;
const HEIGHT = 620;
/** What is drawn: Europe, without the regions overseas. Longitude and latitude, degrees. */
const WINDOW = { west: -12, east: 35, south: 34, north: 71 } as const;
const isInside = ([lon, lat]: [number, number]) =>
  lon > WINDOW.west && lon < WINDOW.east && lat > WINDOW.south && lat < WINDOW.north;

function drawUnion() {
  const require = createRequire(import.meta.url);
  const world = require("world-atlas/countries-50m.json") as Topology<{ countries: GeometryCollection }>;
  const drawn = feature(world, world.objects.countries).features.flatMap((country) => {
    const id = STATES[String(country.id)];
    if (id === undefined) return [];
    const { geometry } = country;
    const polygons =
      geometry.type === "MultiPolygon"
        ? geometry.coordinates
        : geometry.type === "Polygon"
          ? [geometry.coordinates]
          : [];
    const shapes = polygons
      .map((coordinates): GeoJSON.Polygon => ({ type: "Polygon", coordinates }))
      .filter((polygon) => isInside(geoCentroid(polygon)))
      .sort((a, b) => geoArea(b) - geoArea(a));
    return [{ id, shapes }];
  });
  const all = drawn.flatMap(({ shapes }) => shapes);
  const projection = geoConicConformal()
    .rotate([-13, 0])
    .parallels([42, 62])
    .fitExtent(
      [
        [4, 4],
        [WIDTH - 4, HEIGHT - 4],
      ],
      { type: "GeometryCollection", geometries: all },
    );
  const path = geoPath(projection).digits(1);
  return drawn.map(({ id, shapes }) => {
    const [largest] = shapes;
    if (largest === undefined) throw new Error(`world-atlas draws nothing of ${id}`);
    const [x = 0, y = 0] = path.centroid(largest);
    const d = shapes.map((shape) => path(shape) ?? "").join("");
    // Whoever is too small to be hit with a finger gets a circle.
    return { id, d, x: Math.round(x), y: Math.round(y), small: path.area(largest) < 150 };
  });
}

const union: Plugin = {
  name: "union",
  resolveId: (id) => (id === "virtual:union" ? "\0union" : undefined),
  load: (id) =>
    id === "\0union"
      ? `export const size = ${JSON.stringify([WIDTH, HEIGHT])}; export const shapes = ${JSON.stringify(drawUnion())};`
      : undefined,
};

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  plugins: [union],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    outDir: "dist",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
