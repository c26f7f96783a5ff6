/** How far something is: 0 to 1, or moving where nobody knows. */
export function Bar({ label, fraction }: { label: string; fraction?: number | undefined }) {
  const percent = fraction === undefined ? undefined : Math.min(100, Math.floor(fraction * 100));
  return (
    <div
      class={percent === undefined ? 'bar moving' : 'bar'}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <i style={{ transform: `scaleX(${fraction ?? 0.3})` }} />
    </div>
  );
}
