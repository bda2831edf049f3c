/**
 * Amounts as people take them in at a glance: one unit, two or three digits. What must be exact is not written so.
 */

/** `831 B`, `83.5 MiB`, `1.2 TiB` */
export function roughBytes(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${value >= 100 || unit === 'B' ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

/** `<0.1 s`, `0.4 s`, `12 s`, `5 min`, `3.2 h`, `8 d` */
export function roughSpan(seconds: number): string {
  if (seconds > 0 && seconds < 0.05) return '<0.1 s';
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86_400)} d`;
}
