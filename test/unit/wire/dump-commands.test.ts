import { expect, test } from 'vitest';
import { binlogDump, binlogDumpGtid, registerReplica, semiSyncAck } from '../../../src/wire/dump-commands.ts';

const hex = (buffer: Buffer): string => buffer.toString('hex');

test('COM_REGISTER_SLAVE names the host and no credentials', () => {
  const packet = registerReplica(0x01020304, 'proxy1');
  expect(hex(packet)).toBe(
    `18000000${'15'}04030201${'06'}${hex(Buffer.from('proxy1'))}0000${'0000'}0000000000000000`,
  );
});

test('a host name longer than old servers take is cut', () => {
  expect(registerReplica(1, 'h'.repeat(300))[9]).toBe(60);
});

test('COM_BINLOG_DUMP asks for file and position', () => {
  expect(hex(binlogDump(7, 2, 'b.01', 0xfffffffe))).toBe(`0f000000${'12'}feffffff0200${'07000000'}622e3031`);
});

test('COM_BINLOG_DUMP refuses what its 32 bits cannot say', () => {
  expect(() => binlogDump(7, 0, 'b.01', 2 ** 32)).toThrow(/4 GiB/);
});

test('COM_BINLOG_DUMP_GTID leaves the file to the source', () => {
  const packet = binlogDumpGtid(7, 2, Buffer.alloc(8));
  expect(hex(packet)).toBe(
    `1f000000${'1e'}0200${'07000000'}00000000${'0400000000000000'}08000000${'00'.repeat(8)}`,
  );
});

test('a semi-sync acknowledgement carries 64 bits of position', () => {
  expect(hex(semiSyncAck('b.1', 2 ** 33 + 1))).toBe(`0c000000${'ef'}0100000002000000622e31`);
});
