/** A worker thread for the tests of spares: says what it was told, and then what it hears. */
import { BroadcastChannel, parentPort, workerData } from 'node:worker_threads';
import { threadOptions } from '../../../../src/base/thread-options.ts';

const port = parentPort!;
const loaded = new BroadcastChannel('spare thread loaded');
loaded.postMessage('loaded');
loaded.close();
const options = threadOptions<{ readonly data: number }>(workerData, port);
port.postMessage({ type: 'told', options, made: options === workerData ? 'for it' : 'before' });
port.on('message', (command: { readonly type: string }) => {
  port.postMessage({ type: 'heard', command: command.type });
  if (command.type !== 'stop') return;
  port.postMessage({ type: 'stopped', cause: null });
  port.close();
});
