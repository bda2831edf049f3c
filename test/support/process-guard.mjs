/**
 * The guard of one test process: a detached process that reads lines from it ("+pid N START", "-pid N", "+folder F",
 * "-folder F") and, when that pipe closes because the test process ended in whatever way, kills what is left and
 * removes the folders. START is the process's start time, so that a reused pid is never killed.
 */
import { readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

const processes = new Map();
const folders = new Set();

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, subject, ...rest] = line.split(' ');
  if (verb === '+pid') processes.set(Number(subject), rest[0]);
  else if (verb === '-pid') processes.delete(Number(subject));
  else if (verb === '+folder') folders.add([subject, ...rest].join(' '));
  else if (verb === '-folder') folders.delete([subject, ...rest].join(' '));
}

for (const [pid, started] of processes) {
  if (startTime(pid) !== started) continue;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in between.
  }
}
const deadline = Date.now() + 10_000;
while (Date.now() < deadline && [...processes].some(([pid, started]) => startTime(pid) === started)) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
for (const folder of folders)
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });

/** Field 22 of /proc/PID/stat; '-' when the process is gone or a zombie, or this is not Linux. */
function startTime(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' ? 'ended' : fields[19];
  } catch {
    return 'ended';
  }
}
