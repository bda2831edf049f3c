/**
 * What a process has used so far, from /proc (Linux): CPU time of all its threads and the most memory it ever held.
 */
import { readFileSync } from 'node:fs';

export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly rssPeakMib: number;
}

/** Clock ticks a second: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export function processUsage(pid: number): ProcessUsage {
  // Behind the command's name in brackets: field 14 is user time, 15 system time.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const peakKib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return { cpuSeconds: ticks / TICKS_PER_SECOND, rssPeakMib: Number(peakKib) / 1024 };
}
