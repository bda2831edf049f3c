/**
 * Real binary logs under test/fixtures (each with the SQL that made it), taken apart into events.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CHECKSUM_LENGTH, EventType } from '../../src/binlog/event-header.ts';
import { decodeFormatDescription, type FormatDescription } from '../../src/binlog/format-description.ts';

const MAGIC_LENGTH = 4;

export interface FixtureEvent {
  /** In the file, and in `FixtureFile.bytes`. */
  readonly start: number;
  /** Without the CRC; of the format description, which has a tail of its own, with it. */
  readonly end: number;
  /** With the CRC. */
  readonly next: number;
  readonly type: number;
}

export interface FixtureFile {
  readonly bytes: Buffer;
  readonly fde: FormatDescription;
  readonly events: readonly FixtureEvent[];
}

/** `name` is relative to test/fixtures: "mysql-9.7/xa.binlog". */
export function readFixture(name: string): FixtureFile {
  const bytes = readFileSync(fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url)));
  const fde = decodeFormatDescription(
    bytes,
    MAGIC_LENGTH,
    MAGIC_LENGTH + bytes.readUInt32LE(MAGIC_LENGTH + 9),
  );
  const tail = fde.checksum === 'crc32' ? CHECKSUM_LENGTH : 0;
  const events: FixtureEvent[] = [];
  for (let start = MAGIC_LENGTH; start < bytes.length; ) {
    const next = start + bytes.readUInt32LE(start + 9);
    const type = bytes[start + 4]!;
    events.push({ start, end: type === EventType.FORMAT_DESCRIPTION_EVENT ? next : next - tail, next, type });
    start = next;
  }
  return { bytes, fde, events };
}

/** Every fixture that tells something about control events and transactions. */
export const CONTROL_FIXTURES = [
  'mysql-9.7/gtid-transactions.binlog',
  'mysql-9.7/tagged-gtids.binlog',
  'mysql-9.7/xa.binlog',
  'mysql-9.7/statement-format.binlog',
  'mysql-9.7/session-context.binlog',
  'mysql-9.7/compressed.binlog',
  'mysql-9.7/load-data.binlog',
  'mysql-9.7/anonymous.binlog',
  'mysql-9.7/no-checksum.binlog',
  'mariadb-10.11/transactions.binlog',
  'mariadb-10.11/statement-format.binlog',
  'mariadb-10.11/compressed.binlog',
  'mariadb-10.11/group-commit.binlog',
] as const;
