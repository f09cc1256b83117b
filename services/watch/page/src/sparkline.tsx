const WIDTH = 108;
const HEIGHT = 20;

/** Statements of the last minutes, a bar each slice. It repeats what the columns beside it say, so nobody need read it aloud. */
export function Sparkline({ values }: { values: readonly number[] }) {
  const most = Math.max(1, ...values);
  const width = WIDTH / values.length;
  const path = values
    .map((value, n) => (value === 0 ? "" : `M${(n + 0.5) * width},${HEIGHT}V${HEIGHT - Math.max(1, (value / most) * HEIGHT)}`))
    .join("");
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true">
      <path d={path} stroke-width={width * 0.8} />
    </svg>
  );
}
