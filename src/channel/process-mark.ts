/**
 * Tells a process from another one that got the same number later: pid, start time and boot, from /proc.
 *
 * Where there is no /proc, the start time and the boot are unknown and the pid alone counts.
 */
import { readFileSync } from 'node:fs';

export interface ProcessMark {
  readonly pid: number;
  /** Clock ticks since boot; empty: unknown. */
  readonly startTime: string;
  /** Empty: unknown. */
  readonly bootId: string;
}

export function ownMark(): ProcessMark {
  return { pid: process.pid, startTime: startTimeOf(process.pid) ?? '', bootId: bootId() };
}

export function isRunning(mark: ProcessMark): boolean {
  if (mark.bootId !== '' && mark.bootId !== bootId()) return false;
  try {
    process.kill(mark.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const startTime = startTimeOf(mark.pid);
  return mark.startTime === '' || startTime === null || startTime === mark.startTime;
}

/** Three lines; a person reads the first. Null when the text is no mark. */
export function parseMark(text: string): ProcessMark | null {
  const [pid = '', startTime = '', bootId = ''] = text.split('\n');
  if (!/^[1-9]\d{0,9}$/.test(pid)) return null;
  return { pid: Number(pid), startTime, bootId };
}

export function markText(mark: ProcessMark): string {
  return `${mark.pid}\n${mark.startTime}\n${mark.bootId}\n`;
}

/** Field 22 of /proc/PID/stat; null when unknown or the process is a zombie: that one runs no more. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name may hold blanks and brackets: fields are counted after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 'zombie' : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}
