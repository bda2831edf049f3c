/**
 * Which alarms have been raised, across restarts: data_dir/millrace.alarms.json.
 *
 *   {"millrace_alarms":1,"targets":[{"channel":"orders","target":"standby","ids":["uuid:7"]}]}\n
 *
 * An alarm is remembered when it has been delivered, or given up, never before: a kill in between raises it once more. So the
 * file only ever keeps an alarm from being repeated; one that is damaged, or cannot be written, is a warning and no failure.
 * The newest IDS_MAX of each target are kept.
 * Thread: main. The first is written at once, those that follow it at most once in WRITE_MS.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { toPlain } from '../base/errors.ts';
import type { Logger } from '../base/runtime.ts';
import { replaceFile } from '../relay/durable-file.ts';

const FILE_NAME = 'millrace.alarms.json';
const VERSION = 1;
const IDS_MAX = 2_000;
const BYTES_MAX = 64 * 1024 * 1024;
const WRITE_MS = 500;

export class AlarmMemory {
  readonly #path: string;
  readonly #log: Logger;
  /** By channel and target; ids in the order in which they came. */
  readonly #ids: Map<string, Set<string>>;
  /** Runs for WRITE_MS after a write. */
  #timer: NodeJS.Timeout | null = null;
  #written = true;
  #failed = false;

  private constructor(path: string, log: Logger, ids: Map<string, Set<string>>) {
    this.#path = path;
    this.#log = log;
    this.#ids = ids;
  }

  /** The caller holds the run lock. */
  static open(dataDir: string, log: Logger): AlarmMemory {
    const path = join(dataDir, FILE_NAME);
    let ids = new Map<string, Set<string>>();
    try {
      if (statSync(path).size > BYTES_MAX) throw new Error('it is larger than any that Millrace writes');
      ids = parse(readFileSync(path, 'utf8'));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
        const why = cause instanceof Error ? cause.message : String(cause);
        log.warn('which alarms were raised is forgotten, they may be raised again', { path, cause: why });
      }
    }
    return new AlarmMemory(path, log, ids);
  }

  has(channel: string, target: string, id: string): boolean {
    return this.#ids.get(keyOf(channel, target))?.has(id) ?? false;
  }

  add(channel: string, target: string, id: string): void {
    const key = keyOf(channel, target);
    const ids = this.#ids.get(key) ?? new Set();
    this.#ids.set(key, ids);
    ids.add(id);
    for (const oldest of ids) {
      if (ids.size <= IDS_MAX) break;
      ids.delete(oldest);
    }
    this.#written = false;
    if (this.#timer === null) this.#write();
  }

  /** Writes what is not written. */
  close(): void {
    this.#write();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #write(): void {
    this.#timer = null;
    if (this.#written) return;
    this.#written = true;
    this.#timer = setTimeout(() => this.#write(), WRITE_MS);
    const targets = [...this.#ids].map(([key, ids]) => {
      const [channel, target] = JSON.parse(key) as [string, string];
      return { channel, target, ids: [...ids] };
    });
    try {
      replaceFile(this.#path, Buffer.from(`${JSON.stringify({ millrace_alarms: VERSION, targets })}\n`));
      this.#failed = false;
    } catch (error) {
      // Told once: every alarm that follows fails in the same way.
      if (!this.#failed)
        this.#log.warn('alarms may be raised again after a restart', { ...toPlain(error).facts });
      this.#failed = true;
    }
  }
}

function keyOf(channel: string, target: string): string {
  return JSON.stringify([channel, target]);
}

/** Throws an Error whose message ends a sentence. */
function parse(text: string): Map<string, Set<string>> {
  const root = JSON.parse(text) as { millrace_alarms?: unknown; targets?: unknown } | null;
  if (root?.millrace_alarms !== VERSION || !Array.isArray(root.targets))
    throw new Error('it is no such file');
  const ids = new Map<string, Set<string>>();
  for (const each of root.targets as readonly Record<string, unknown>[]) {
    const { channel, target, ids: list } = each ?? {};
    if (typeof channel !== 'string' || typeof target !== 'string' || !Array.isArray(list)) {
      throw new Error('a part of it has not the form that it must have');
    }
    const texts = list.filter((id): id is string => typeof id === 'string').slice(-IDS_MAX);
    ids.set(keyOf(channel, target), new Set(texts));
  }
  return ids;
}
