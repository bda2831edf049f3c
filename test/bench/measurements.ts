/**
 * Repeated measurements side by side: each contender's figures of every round, and what is told of them: median, least and
 * most, and ratios to a baseline taken round by round, so that what disturbed a round disturbs both.
 */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** One run's figures by name: seconds, cpu, peak … */
export type Figures = Readonly<Record<string, number>>;

export interface Ratio {
  /** The figure that is divided. */
  readonly of: string;
  readonly baseline: string;
  /** speed: above 1 is quicker than the baseline; share: below 1 is less than the baseline's. */
  readonly as: 'speed' | 'share';
}

export interface Column {
  readonly key: string;
  readonly title: string;
  readonly digits: number;
  readonly ratio?: Ratio;
}

export interface MeasuredRow {
  readonly name: string;
  /** Runs measured. */
  readonly n: number;
  /** By column; a figure that this contender does not have is missing. */
  readonly values: Readonly<Record<string, Spread>>;
  /** Why it could not be measured. */
  readonly refused?: string;
}

export class Measurements {
  /** By contender, by round. */
  readonly #runs = new Map<string, Map<number, Figures>>();
  readonly #refused = new Map<string, string>();

  add(name: string, round: number, figures: Figures): void {
    this.#of(name).set(round, figures);
  }

  refuse(name: string, reason: string): void {
    this.#of(name);
    this.#refused.set(name, reason);
  }

  isRefused(name: string): boolean {
    return this.#refused.has(name);
  }

  /** Of the contender that took part most often. */
  get rounds(): number {
    return Math.max(0, ...[...this.#runs.values()].map(({ size }) => size));
  }

  /** Median of a figure; NaN when nothing was measured. */
  median(name: string, figure: string): number {
    return spread(this.#values(name, figure))?.median ?? Number.NaN;
  }

  rows(columns: readonly Column[]): MeasuredRow[] {
    return [...this.#runs].map(([name, runs]) => {
      const values: Record<string, Spread> = {};
      for (const { key, ratio } of columns) {
        const found = spread(ratio === undefined ? this.#values(name, key) : this.#ratios(name, ratio));
        if (found !== null) values[key] = found;
      }
      const refused = this.#refused.get(name);
      return { name, n: runs.size, values, ...(refused === undefined ? {} : { refused }) };
    });
  }

  #of(name: string): Map<number, Figures> {
    let runs = this.#runs.get(name);
    if (runs === undefined) {
      runs = new Map();
      this.#runs.set(name, runs);
    }
    return runs;
  }

  #values(name: string, figure: string): number[] {
    return [...(this.#runs.get(name)?.values() ?? [])].flatMap((figures) => figures[figure] ?? []);
  }

  #ratios(name: string, { of, baseline, as }: Ratio): number[] {
    const ratios: number[] = [];
    for (const [round, figures] of this.#runs.get(name) ?? []) {
      const mine = figures[of];
      const theirs = this.#runs.get(baseline)?.get(round)?.[of];
      if (mine === undefined || theirs === undefined) continue;
      ratios.push(as === 'speed' ? theirs / mine : mine / theirs);
    }
    return ratios;
  }
}

/** Null: there are no values. */
export function spread(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** The value below which `share` of all lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
