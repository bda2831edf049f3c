/**
 * The dialect that a logged statement is written in: what its event says of the session that sent it.
 *
 * Character sets are named by the ids of their collations. Only those matter in which a byte of a character may be 0x5C or a
 * quote; they have had the same ids in every version of both flavours (INFORMATION_SCHEMA.COLLATIONS of 9.7 and 10.11; from
 * 1024 on MariaDB's NO PAD twins of the same collations). For everything else, ASCII bytes are ASCII characters.
 */
import type { FormatDescription } from '../binlog/format-description.ts';
import type { QueryContext } from '../binlog/query-event.ts';
import type { StatementDialect } from './statement-reading.ts';

const NO_PAD = 1024;
const BYTE_CHARSETS: ReadonlyMap<number, string> = new Map([
  [1, 'big5'],
  [84, 'big5'],
  [13, 'sjis'],
  [88, 'sjis'],
  [28, 'gbk'],
  [87, 'gbk'],
  [95, 'cp932'],
  [96, 'cp932'],
  [248, 'gb18030'],
  [249, 'gb18030'],
  [250, 'gb18030'],
]);

/** `versionNumber`: of the server that runs the statement; null: of the one that wrote the log. */
export function statementDialect(
  { sqlMode, charset }: Pick<QueryContext, 'sqlMode' | 'charset'>,
  fde: FormatDescription,
  versionNumber: number | null,
): StatementDialect {
  return {
    flavour: fde.flavour,
    sqlMode: sqlMode ?? 0n,
    charset: charset === null ? 'utf8mb4' : (BYTE_CHARSETS.get(charset.client & ~NO_PAD) ?? 'utf8mb4'),
    versionNumber: versionNumber ?? versionOf(fde.serverVersion),
  };
}

/** "9.7.4-2" → 90704 */
function versionOf(text: string): number {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  return Number(major ?? 0) * 10_000 + Number(minor ?? 0) * 100 + Number(patch ?? 0);
}
