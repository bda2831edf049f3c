/**
 * What processes have used, from /proc (Linux): CPU time of all their threads and the most memory they ever held; and who
 * else uses the machine.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly rssPeakMib: number;
}

/** Clock ticks a second: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export function processUsage(pid: number): ProcessUsage {
  const { own } = readStat(pid);
  const peakKib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return { cpuSeconds: own / TICKS_PER_SECOND, rssPeakMib: Number(peakKib) / 1024 };
}

interface ProcessStat {
  readonly parent: number;
  /** Ticks of this process alone. */
  readonly own: number;
  /** Ticks of this process and of its children that have ended. */
  readonly withEnded: number;
}

function readStat(pid: number): ProcessStat {
  // Behind the command's name in brackets: field 4 is the parent, 14 to 17 are user and system time, own and of ended children.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
    .map(Number);
  const own = fields[11]! + fields[12]!;
  return { parent: fields[1]!, own, withEnded: own + fields[13]! + fields[14]! };
}

const KERNEL = 2;

/** CPU seconds that processes outside our own tree have used so far; kernel threads, which also work for us, are left out. */
export function foreignCpuSeconds(): number {
  const all = new Map<number, ProcessStat>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      all.set(pid, readStat(pid));
    } catch {
      // It has ended since the list was read.
    }
  }
  let ticks = 0;
  for (const [pid, stat] of all)
    if (!belongsTo(pid, new Set([process.pid, KERNEL]), all)) ticks += stat.withEnded;
  return ticks / TICKS_PER_SECOND;
}

function belongsTo(pid: number, roots: ReadonlySet<number>, all: ReadonlyMap<number, ProcessStat>): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 0; at = all.get(at)?.parent) {
    if (roots.has(at)) return true;
  }
  return false;
}

/** Seconds that the machine below this one has given to others, all cores together. */
export function stolenSeconds(): number {
  const fields = /^cpu\s+(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]?.split(/\s+/) ?? [];
  return Number(fields[7] ?? 0) / TICKS_PER_SECOND;
}
