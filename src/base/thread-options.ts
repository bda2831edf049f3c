/**
 * How a thread learns what it is to do.
 *
 *   made for it   workerData is its options
 *   a spare       made before anyone knew: it has loaded its modules and waits here, blocked, until the cell in workerData is set;
 *                 its options are then the first message of its port
 *
 * Nothing of the port is heard while it waits, so no later message can be taken for the options or be lost behind them.
 */
import { type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { assert } from './errors.ts';

const WAITING = 0;
const TOLD = 1;

interface Spare {
  readonly spareUntilSet: Int32Array;
}

export type SpareCell = Int32Array;

export function newSpareCell(): SpareCell {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}

/** workerData of a spare. */
export function spareData(cell: SpareCell): unknown {
  return { spareUntilSet: cell } satisfies Spare;
}

/** Main thread: the spare goes on with these options. */
export function tellSpare(worker: Worker, cell: SpareCell, options: unknown): void {
  worker.postMessage(options);
  Atomics.store(cell, 0, TOLD);
  Atomics.notify(cell, 0);
}

/** In the thread, before it listens to its port. Blocks a spare. `data`: its workerData. */
export function threadOptions<Options>(data: unknown, port: MessagePort): Options {
  if (!isSpare(data)) return data as Options;
  Atomics.wait(data.spareUntilSet, 0, WAITING);
  const told = receiveMessageOnPort(port);
  assert(told !== undefined, 'a spare thread is told its options before it is woken');
  return told.message as Options;
}

function isSpare(data: unknown): data is Spare {
  return (data as Partial<Spare> | null)?.spareUntilSet instanceof Int32Array;
}
