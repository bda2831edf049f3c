/**
 * The dialect that a logged statement is written in: what its event says of the session that sent it.
 *
 * An event names the client's character set by the id of a collation. The ids below 256 are the same in every version of both
 * flavours; MariaDB's NO PAD twins have 1024 more; everything that is not in the table is UTF-8 (as INFORMATION_SCHEMA of 9.7
 * and 10.11 have them: test/scenario/statement-charsets.test.ts).
 */
import type { FormatDescription } from '../binlog/format-description.ts';
import type { QueryContext } from '../binlog/query-event.ts';
import type { StatementDialect } from './statement-reading.ts';

const NO_PAD = 1024;
const UTF8 = 'utf8mb4';

const CHARSETS: ReadonlyMap<number, string> = idsByCharset({
  armscii8: [32, 64],
  ascii: [11, 65],
  big5: [1, 84],
  binary: [63],
  cp1250: [26, 34, 44, 66, 99],
  cp1251: [14, 23, 50, 51, 52],
  cp1256: [57, 67],
  cp1257: [29, 58, 59],
  cp850: [4, 80],
  cp852: [40, 81],
  cp866: [36, 68],
  cp932: [95, 96],
  dec8: [3, 69],
  eucjpms: [97, 98],
  euckr: [19, 85],
  gb18030: [248, 249, 250],
  gb2312: [24, 86],
  gbk: [28, 87],
  geostd8: [92, 93],
  greek: [25, 70],
  hebrew: [16, 71],
  hp8: [6, 72],
  keybcs2: [37, 73],
  koi8r: [7, 74],
  koi8u: [22, 75],
  latin1: [5, 8, 15, 31, 47, 48, 49, 94],
  latin2: [2, 9, 21, 27, 77],
  latin5: [30, 78],
  latin7: [20, 41, 42, 79],
  macce: [38, 43],
  macroman: [39, 53],
  sjis: [13, 88],
  swe7: [10, 82],
  tis620: [18, 89],
  ujis: [12, 91],
});

function idsByCharset(table: Readonly<Record<string, readonly number[]>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(table).flatMap(([charset, ids]) => ids.map((id) => [id, charset] as const)));
}

/** Of a client whose character set is named by this collation. */
export function clientCharsetName(collationId: number): string {
  return CHARSETS.get(collationId) ?? CHARSETS.get(collationId - NO_PAD) ?? UTF8;
}

/** `versionNumber`: of the server that runs the statement; null: of the one that wrote the log. */
export function statementDialect(
  { sqlMode, charset }: Pick<QueryContext, 'sqlMode' | 'charset'>,
  fde: FormatDescription,
  versionNumber: number | null,
): StatementDialect {
  return {
    flavour: fde.flavour,
    sqlMode: sqlMode ?? 0n,
    charset: charset === null ? UTF8 : clientCharsetName(charset.client),
    versionNumber: versionNumber ?? versionOf(fde.serverVersion),
  };
}

/** "9.7.4-2" → 90704 */
function versionOf(text: string): number {
  const [, major = '0', minor = '0', patch = '0'] = /^(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  return Number(major) * 10_000 + Number(minor) * 100 + Number(patch);
}
