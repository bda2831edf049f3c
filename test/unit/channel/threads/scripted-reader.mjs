// Speaks a reader thread's messages without a source; the host name says what it does.
import { parentPort, workerData } from 'node:worker_threads';

const { endpoint, replicaUuid } = workerData;
const script = endpoint.host;
let state = { at: 'idle', reason: 'scripted' };
let started = null;

function say(next) {
  state = next;
  parentPort.postMessage({ type: 'state', state });
}

function goodbye(cause) {
  say({ at: 'stopped', cause });
  parentPort.postMessage({ type: 'stopped', cause });
  parentPort.close();
}

parentPort.on('message', (command) => {
  if (command.type === 'start') {
    started = command.executed;
    if (script === 'dies-when-started') throw new Error('the reader has a bug');
    say(workerData.paused ? { at: 'paused' } : { at: 'streaming', sinceMs: Date.now() });
  } else if (command.type === 'pause') {
    say({ at: 'paused' });
  } else if (command.type === 'resume') {
    say({ at: 'streaming', sinceMs: Date.now() });
  } else if (command.type === 'stop') {
    goodbye(null);
  } else if (command.type === 'status') {
    parentPort.postMessage({
      type: 'status',
      id: command.id,
      status: {
        takenAtMs: performance.timeOrigin + performance.now(),
        state,
        lastError: null,
        source: { serverUuid: replicaUuid, serverVersion: '9.7.4', flavour: 'mysql' },
        retrieved: started ?? '',
        sourceFile: null,
        sourcePosition: 0,
        relayFile: null,
        relayPosition: 0,
        relayBytes: 0,
        transactionsReceived: 0,
        bytesReceived: 0,
        caughtUpWithSource: true,
        contactMs: null,
        heartbeatMs: 1000,
        clockDiffMs: 0,
        head: null,
        headUnknown: 'not asked yet',
        proofAgeMs: 300,
        missingAgeMs: null,
        unsynced: { transactions: 0, bytes: 0, ageMs: null },
      },
    });
  }
});

if (script === 'refuses') {
  goodbye({ code: 'ACCESS_DENIED', action: 'stop', message: 'wrong password', hint: 'Mend it.', facts: {} });
} else if (script !== 'unreachable') {
  parentPort.postMessage({ type: 'source', kind: 'gtid', relayLogIsEmpty: script !== 'has-data' });
}
