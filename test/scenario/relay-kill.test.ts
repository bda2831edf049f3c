import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readRelayLogIndex } from '../../src/relay/relay-log-index.ts';
import { bundled } from '../support/bundled.ts';
import { RelayDirectory } from '../support/relay-directory.ts';
import { repositoryRoot } from '../support/repository.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const ROUNDS = Number(process.env.MILLRACE_KILLS ?? 20);

let program: string;
beforeAll(async () => {
  program = await bundled('test/support/relay-torture.ts');
});

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

/**
 * Runs the writer and kills it, so many ms after it began to open the log (`opening`) or after it first said that something
 * was durable. Returns the last number it said so of.
 */
function writeAndKill(from: 'opening' | 'durable', afterMs: number): Promise<bigint> {
  const binlog = join(repositoryRoot, 'test', 'fixtures', 'mysql-9.7', 'gtid-transactions.binlog');
  const child = spawn(process.execPath, [program, relay.dir, binlog]);
  let output = '';
  let errors = '';
  let condemned = false;
  child.stdout.on('data', (text: Buffer) => {
    output += text.toString();
    if (condemned || !(from === 'opening' ? /opening/ : /\d\n/).test(output)) return;
    condemned = true;
    setTimeout(() => child.kill('SIGKILL'), afterMs);
  });
  child.stderr.on('data', (text: Buffer) => {
    errors += text.toString();
  });
  return new Promise((resolve, reject) => {
    child.on('close', (code, signal) => {
      if (signal !== 'SIGKILL') reject(new Error(`the writer ended by itself, ${code}: ${errors}`));
      else resolve(BigInt(/(\d+)\n(?!.*\n)/.exec(output)?.[1] ?? '0'));
    });
  });
}

test(`after kill -9 at any moment, ${ROUNDS} times in a row, whole transactions are left and none that was durable is missing`, async () => {
  const random = new SeededRandom(20_260_101);
  let recovered = 0n;
  let kills = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const durable = await writeAndKill('durable', random.next() * 150);
    // A few times killed again while it opens what the last kill left.
    for (let again = 0; again < round % 3; again++) await writeAndKill('opening', random.next() * 15);
    const writer = await relay.openWriter();
    const retrieved = writer.retrieved?.toString() ?? '';
    const match = /^[^:]+:1-(\d+)$/.exec(retrieved);
    const count = retrieved === '' ? 0n : BigInt(match?.[1] ?? 'not one interval');
    expect(count).toBeGreaterThanOrEqual(durable);
    expect(count).toBeGreaterThanOrEqual(recovered);
    if (count > recovered) kills++;
    recovered = count;

    const numbers = readRelayLogIndex(relay.dir) ?? [];
    if (numbers.length === 0) continue;
    expect(
      relay
        .fileNames()
        .filter((name) => !name.endsWith('.marks'))
        .map((name) => Number(name.slice(-6))),
    ).toEqual(numbers);
    const cursor = relay.cursor({ from: { fileNumber: numbers[0]!, offset: 0 } });
    const previous = /1-(\d+)$|:1$/.exec(cursor.header.previous.toString());
    let next = previous === null ? 1n : BigInt(previous[1] ?? '1') + 1n;
    for (let event = cursor.next(); event !== null; event = cursor.next()) {
      if (event.place !== 'end') continue;
      expect(event.id).toMatchObject({ gno: next });
      next++;
    }
    expect(next - 1n).toBe(count);
    cursor.close();
    expect(readFileSync(relay.path(numbers.at(-1)!)).length).toBe(writer.position.offset);
    await writer.close();
  }
  expect(kills).toBeGreaterThan(ROUNDS - 2);
});
