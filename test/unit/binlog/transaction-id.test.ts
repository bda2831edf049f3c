import { describe, expect, test } from 'vitest';
import { transactionIdText } from '../../../src/binlog/position-set.ts';
import { parseTransactionIdText } from '../../../src/binlog/transaction-id.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

describe('the name of a transaction', () => {
  test.each([
    [`${UUID}:7`, `${UUID}:7`],
    [`${UUID.toUpperCase()}:7`, `${UUID}:7`],
    [`${UUID}:Tag_1:9223372036854775806`, `${UUID}:tag_1:9223372036854775806`],
    ['0-1-7', '0-1-7'],
    ['4294967295-4294967295-18446744073709551615', '4294967295-4294967295-18446744073709551615'],
    ['binlog.000003:4711', 'binlog.000003:4711'],
    ['my-host-bin.1:4', 'my-host-bin.1:4'],
  ])('%s is read, and spelled %s', (text, canonical) => {
    expect(transactionIdText(parseTransactionIdText(text))).toBe(canonical);
  });

  test.each([
    '',
    'abc',
    UUID,
    `${UUID}:`,
    `${UUID}:0`,
    `${UUID}:-1`,
    `${UUID}:1-5`,
    `${UUID}:9223372036854775807`,
    `${UUID}:99999999999999999999`,
    `${UUID}:1:2`,
    `${UUID}:1tag:2`,
    `${UUID}:1,${UUID}:2`,
    `${UUID}:1 `,
    '0-1-0',
    '4294967296-1-7',
    '0-1-18446744073709551616',
    '0-1',
    'binlog:4',
    'binlog.000003',
    'bin log.000003:4',
    "binlog.000003:4'; DROP TABLE t",
    'x'.repeat(100_000),
  ])('%j names none', (text) => {
    expect(() => parseTransactionIdText(text)).toThrow(
      expect.objectContaining({ code: 'MALFORMED_POSITION' }),
    );
  });
});
