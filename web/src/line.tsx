// A line over the last ten minutes.
const WIDTH = 600
const HEIGHT = 80

export function Line({ values, most, label }: { values: number[]; most: number; label: string }) {
  const at = (value: number, index: number) =>
    `${WIDTH - values.length + index + 1},${HEIGHT - 1 - (Math.min(value, most) / most) * (HEIGHT - 2)}`
  return (
    <svg class="line" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path class="rule" d={`M0 ${HEIGHT - 1}H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 1H${WIDTH}`} />
      <polyline points={values.map(at).join(' ')} />
    </svg>
  )
}
