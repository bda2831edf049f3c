// A worker thread for the tests of ThreadHost: does what its workerData says.
import { parentPort, workerData } from 'node:worker_threads';

const { script } = workerData;
if (script === 'throws at once') throw new Error('boom at birth');
if (script === 'exits at once') process.exit(7);

parentPort.postMessage({ type: 'state', state: { at: 'idle', data: workerData.data } });
const owed = [];
let awake = script !== 'hangs';
parentPort.on('message', (command) => {
  if (command.type === 'wake') {
    awake = true;
    for (const id of owed) parentPort.postMessage({ type: 'status', id, status: { answer: id } });
    return;
  }
  if (command.type === 'status') {
    if (script === 'answers nothing') return;
    if (!awake) {
      owed.push(command.id);
      return;
    }
    parentPort.postMessage({ type: 'status', id: command.id, status: { answer: command.id } });
    return;
  }
  if (command.type === 'throw') throw new RangeError('boom later');
  if (command.type === 'exit') process.exit(3);
  if (command.type === 'stop') {
    if (script === 'ignores stop') return;
    parentPort.postMessage({ type: 'stopped', cause: workerData.cause ?? null });
    if (script !== 'lingers') parentPort.close();
  }
});
