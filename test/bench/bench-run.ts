/**
 * One call of the bench: its options, the tables it has made so far, and what went wrong. A contender that ends with other
 * tables than the source's fails the whole call; so does one that cannot finish.
 */
import type { BenchEntry, SectionName } from './bench-entry.ts';
import type { Setting } from './bench-server.ts';
import type { GrowthPart } from './growth-part.ts';
import { type MachineFacts, Watch } from './machine.ts';
import { type Column, type Figures, Measurements } from './measurements.ts';
import { RefusedError } from './refused-error.ts';
import { plainTable } from './results-table.ts';
import type { WorkloadName } from './workload.ts';

export interface BenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  /** Empty: those that the section takes by itself. */
  readonly workloads: readonly WorkloadName[];
  readonly settings: readonly Setting[];
  /** Of growth; empty: all. */
  readonly parts: readonly GrowthPart[];
  /** Only contenders whose names match; null: all. */
  readonly contenders: RegExp | null;
  /** Other working copies of Millrace, built, by the names they are shown with. */
  readonly beside: Readonly<Record<string, string>>;
}

export interface TableHead {
  readonly section: SectionName;
  readonly key: string;
  readonly title: string;
  readonly about: string;
}

/** One who is measured, and in which rounds. */
export interface Contender {
  readonly name: string;
  /** Left out: in every round. */
  readonly rounds?: number;
  run(round: number): Promise<Figures>;
}

export class BenchRun {
  readonly options: BenchOptions;
  readonly machine: MachineFacts;
  readonly commit: string;
  readonly entries: BenchEntry[] = [];
  readonly failures: string[] = [];

  constructor(options: BenchOptions, machine: MachineFacts, commit: string) {
    this.options = options;
    this.machine = machine;
    this.commit = commit;
  }

  /** `work` measures and then tells the columns, and remarks. */
  async table(
    head: TableHead,
    work: (
      measurements: Measurements,
    ) => Promise<{ readonly columns: readonly Column[]; readonly notes?: readonly string[] }>,
  ): Promise<void> {
    console.log(`\n── ${head.title}`);
    const measurements = new Measurements();
    const watch = new Watch();
    const { columns, notes = [] } = await work(measurements);
    const entry: BenchEntry = {
      ...head,
      columns,
      rows: measurements.rows(columns),
      notes,
      when: new Date().toISOString(),
      commit: this.commit,
      size: this.options.quick ? 'quick' : 'standard',
      rounds: measurements.rounds,
      machine: this.machine,
      conditions: watch.end(),
    };
    this.entries.push(entry);
    console.log(plainTable(entry));
  }

  /** All contenders in every round, in rotating order. */
  async rounds(
    measurements: Measurements,
    contenders: (round: number) => readonly Contender[],
    rounds = this.options.rounds,
  ): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const wanted = contenders(round).filter((each) => this.#takesPart(each, round, measurements));
      for (let i = 0; i < wanted.length; i++) {
        await this.attempt(measurements, round, wanted[(i + round) % wanted.length]!);
      }
    }
  }

  #takesPart({ name, rounds }: Contender, round: number, measurements: Measurements): boolean {
    const { contenders } = this.options;
    if (contenders !== null && !contenders.test(name)) return false;
    return (rounds === undefined || round < rounds) && !measurements.isRefused(name);
  }

  async attempt(measurements: Measurements, round: number, contender: Contender): Promise<void> {
    const { name } = contender;
    try {
      const figures = await contender.run(round);
      measurements.add(name, round, figures);
      console.log(`  ${round + 1}. ${name}: ${brief(figures)}`);
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      measurements.refuse(
        name,
        error instanceof RefusedError
          ? words
          : `failed: ${words.split('\n').slice(0, 2).join(' ').slice(0, 300)}`,
      );
      if (!(error instanceof RefusedError)) this.failures.push(`${name}: ${words}`);
      console.log(`  ${round + 1}. ${name}: ${words}`);
    }
  }
}

function brief(figures: Figures): string {
  const { seconds, p50, p99 } = figures;
  if (p50 !== undefined && p99 !== undefined) return `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
  return seconds === undefined ? 'done' : `${seconds.toFixed(2)} s`;
}
