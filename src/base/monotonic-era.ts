/**
 * Names the monotonic clock of this machine: times of it may be compared, also with those that a file keeps of an earlier
 * process, as long as the name is the same.
 *
 *   boot:<boot_id>,time:<time namespace>      Linux
 *
 * Null where there is no /proc: nothing can then be said of an earlier process. Any thread.
 */
import { readFileSync, readlinkSync } from 'node:fs';

export function monotonicEra(): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return boot === '' ? null : `boot:${boot},${timeNamespace()}`;
  } catch {
    return null;
  }
}

/** A container may have a monotonic clock of its own; kernels before 5.6 have one for all. */
function timeNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/time').replace(/[[\]]/g, '');
  } catch {
    return 'time:one';
  }
}
