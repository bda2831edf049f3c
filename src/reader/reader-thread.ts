/**
 * Entry of the reader thread: joins the Reader with its port. Its options are ReaderOptions (base/thread-options.ts).
 */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/errors.ts';
import { systemClock } from '../base/runtime.ts';
import { threadOptions } from '../base/thread-options.ts';
import { ThreadPort } from '../base/thread-port.ts';
import { Reader } from './reader.ts';
import { READER_POLICY } from './reader-machine.ts';
import type { ReaderCommand, ReaderOptions, ReaderReport } from './reader-messages.ts';

assert(parentPort !== null, 'the reader runs in a worker thread');
const channel = parentPort;
const port = new ThreadPort<ReaderCommand, ReaderReport>(channel);
const reader = new Reader(threadOptions<ReaderOptions>(workerData, channel), {
  post: (report) => port.post(report),
  // Without the port nothing keeps the thread alive.
  ended: () => channel.close(),
  clock: systemClock,
  random: Math.random,
  policy: READER_POLICY,
});
port.onMessage((command) => reader.command(command));
reader.begin();
