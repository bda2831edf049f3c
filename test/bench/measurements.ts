/**
 * Repeated measurements side by side: median, least and most of each contender, and the ratio to the first one's median.
 */
import Table from 'cli-table3';

export interface Measurement {
  readonly seconds: number;
  readonly bytes: number;
  readonly cpuSeconds: number;
  readonly rssPeakMib: number;
}

export class Measurements {
  readonly #byName = new Map<string, Measurement[]>();

  add(name: string, measurement: Measurement): void {
    const list = this.#byName.get(name) ?? [];
    list.push(measurement);
    this.#byName.set(name, list);
  }

  /** Median seconds of `baseline` divided by those of `name`: above 1 is faster than the baseline. */
  ratio(name: string, baseline: string): number {
    return median(this.#seconds(baseline)) / median(this.#seconds(name));
  }

  table(baseline: string): string {
    const table = new Table({
      head: ['receiver', 'n', 'seconds: median [min–max]', 'MB/s', 'CPU s', 'peak RSS MiB', `vs ${baseline}`],
      colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
      style: { head: [], border: [] },
    });
    for (const [name, list] of this.#byName) {
      const seconds = this.#seconds(name);
      table.push([
        name,
        String(list.length),
        `${median(seconds).toFixed(2)} [${Math.min(...seconds).toFixed(2)}–${Math.max(...seconds).toFixed(2)}]`,
        (median(list.map((each) => each.bytes)) / 1e6 / median(seconds)).toFixed(0),
        median(list.map((each) => each.cpuSeconds)).toFixed(2),
        Math.max(...list.map((each) => each.rssPeakMib)).toFixed(0),
        `${this.ratio(name, baseline).toFixed(2)}x`,
      ]);
    }
    return table.toString();
  }

  #seconds(name: string): number[] {
    return (this.#byName.get(name) ?? []).map((each) => each.seconds);
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
