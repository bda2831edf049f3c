import { describe, expect, test } from 'vitest';
import { SharedMemory, StatementMemory } from '../../../src/applier/statement-memory.ts';

function bytes(length: number): Buffer {
  const buf = Buffer.alloc(length);
  for (let i = 0; i < length; i++) buf[i] = (i * 2654435761) >>> 13;
  return buf;
}

describe('memory of statements', () => {
  test.each([0, 1, 2, 3, 12_287, 12_288, 12_289, 49_151, 49_152, 49_153, 98_304, 1_000_001])(
    '%i bytes in base64 are what Node makes of them',
    (length) => {
      const buf = bytes(length + 10);
      const text = new StatementMemory().base64(buf, length);
      expect(text.toString('latin1')).toBe(buf.toString('base64', 0, length));
    },
  );

  test('a text stays as it is until what was sent is answered, then its memory is used again', () => {
    const shared = new SharedMemory();
    const [one, other] = [new StatementMemory(shared), new StatementMemory(shared)];
    const first = one.base64(bytes(100_000), 100_000);
    const before = first.toString('latin1');
    const second = other.base64(Buffer.alloc(100_000), 100_000);
    const third = one.base64(Buffer.alloc(100_000, 1), 100_000);
    expect(new Set([first.buffer, second.buffer, third.buffer]).size).toBe(3);
    other.answered();
    const fourth = other.base64(Buffer.alloc(100_000, 2), 100_000);
    expect(fourth.buffer).toBe(second.buffer);
    expect(first.toString('latin1')).toBe(before);
  });

  test('what lies idle is bounded', () => {
    const shared = new SharedMemory();
    const memory = new StatementMemory(shared);
    const held = new Set(
      Array.from({ length: 30 }, () => memory.base64(Buffer.alloc(700_000), 700_000).buffer),
    );
    memory.answered();
    const again = Array.from({ length: 30 }, () => memory.base64(Buffer.alloc(700_000), 700_000).buffer);
    const kept = again.filter((buffer) => held.has(buffer));
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length * 900_000).toBeLessThan(9 * 1024 * 1024);
  });

  test('a scratch that is given back is the next one’s', () => {
    const shared = new SharedMemory();
    const scratch = shared.borrowScratch();
    expect(shared.borrowScratch()).not.toBe(scratch);
    shared.giveScratchBack(scratch);
    expect(shared.borrowScratch()).toBe(scratch);
  });
});
