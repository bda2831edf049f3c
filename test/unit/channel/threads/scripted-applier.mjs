// Speaks an applier thread's messages without a target; the host name says what it does.
import { parentPort, workerData } from 'node:worker_threads';

const { endpoint } = workerData;
const script = endpoint.host;
const executed = '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';
let state = { at: 'idle' };

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
    if (script === 'refuses') {
      goodbye({
        code: 'ACCESS_DENIED',
        action: 'stop',
        message: 'wrong password',
        hint: 'Mend it.',
        facts: {},
      });
      return;
    }
    parentPort.postMessage({
      type: 'log',
      level: 'info',
      message: 'applier connected',
      facts: { password: 'hunter2' },
    });
    parentPort.postMessage({ type: 'executed', executed });
    say({ at: 'running' });
  } else if (command.type === 'freeze') {
    const passed = command.about.filter((id) => id.endsWith(':6'));
    parentPort.postMessage({
      type: 'frozen',
      revision: command.revision,
      lateness: { passed, untilPassed: false },
    });
  } else if (command.type === 'settings') {
    parentPort.postMessage({ type: 'taken', revision: command.revision });
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
        mode: 'binlog',
        progress: 'gtid',
        executed: state.at === 'running' ? executed : null,
        workers: workerData.workers,
        transactionsApplied: 0,
        rowsApplied: 0,
        caughtUpWithRelay: state.at === 'running',
        pendingCommitMicros: null,
        lastCommitMicros: null,
        pendingAgeMs: null,
        lastAgeMs: null,
        lastAppliedAtMs: null,
        neededFile: 1,
        appliedTo: null,
        pendingBytes: 0,
        activity: [],
        stuck: null,
        gate: { is: 'open' },
        untilReached: false,
        waiting: null,
        inFlight: 0,
        guards: { open: 0, first: [] },
      },
    });
  }
});
