/**
 * The statement reader: statements of the corpus, cut, joined and damaged. A reading's spans must lie inside of the text, in
 * order, and with all names written anew as they are (quoted) the statement must read the same.
 */
import { assert } from '../../src/base/errors.ts';
import { readStatement } from '../../src/rules/read-statement.ts';
import { spliceNames } from '../../src/rules/splice-names.ts';
import type { Span, StatementDialect, StatementReading } from '../../src/rules/statement-reading.ts';
import { readStatementCases } from '../support/statement-corpus.ts';
import type { FuzzDecoder } from './fuzzer.ts';
import { mutate } from './mutator.ts';
import type { Random } from './random.ts';

const MYSQL: StatementDialect = { flavour: 'mysql', sqlMode: 0n, charset: 'utf8mb4', versionNumber: 90704 };
const MARIADB: StatementDialect = { ...MYSQL, flavour: 'mariadb', versionNumber: 101118 };
const FILES = ['both', 'mysql', 'mariadb', 'rows', 'rows-mysql', 'rows-mariadb', 'charsets'];
/** What turns the meaning of the rest. */
const PIECES =
  "' \" ` /* */ /*! /*!50000 /*M!100100 -- # ( ) ; , . .. @ @@ $$ \\ \\' N' x' 0x 1e .1 `a`.1b SELECT FROM JOIN WITH AS VALUES TABLE INTO UPDATE DELETE USING ON SET UNION FOR BEGIN END REFERENCES NEXTVAL( LATERAL DUAL CALL DROP CREATE ALTER RENAME TO GRANT PARTITION"
    .split(' ')
    .concat(' ', '\n', '\0', '\u00a0');

export function rulesDecoders(): FuzzDecoder[] {
  const seeds = FILES.flatMap((file) => readStatementCases(`${file}.sql`)).map(({ statement }) =>
    Buffer.from(statement),
  );
  const decoder = (name: string, dialect: StatementDialect): FuzzDecoder => ({
    name: `statement-${name}`,
    weight: 0.5,
    seeds,
    mutate: mutateStatement,
    run: (buf, start, end) => readAndSplice(buf.subarray(start, end), dialect),
  });
  return [
    decoder('mysql', MYSQL),
    decoder('mariadb', MARIADB),
    decoder('ansi', { ...MYSQL, sqlMode: 0x100004n }),
    decoder('oracle', { ...MARIADB, sqlMode: 0x20en }),
    decoder('gbk', { ...MYSQL, charset: 'gbk' }),
    decoder('sjis', { ...MARIADB, charset: 'sjis' }),
    decoder('latin1', { ...MYSQL, charset: 'latin1', versionNumber: 50744 }),
  ];
}

/** Pieces of statements put together anew; sometimes bytes are damaged as well. */
function mutateStatement(random: Random, seeds: readonly Buffer[]): Buffer {
  let text = Buffer.from(random.pick(seeds));
  for (let changes = random.below(4); changes >= 0; changes--) {
    const at = random.below(text.length + 1);
    const other = random.pick(seeds);
    const from = random.below(other.length);
    const piece = random.oneIn(3)
      ? other.subarray(from, from + random.skewed(40))
      : Buffer.from(random.pick(PIECES));
    const rest = random.oneIn(3) ? random.below(text.length + 1) : at;
    text = Buffer.concat([text.subarray(0, at), piece, text.subarray(Math.max(at, rest))]);
  }
  return random.oneIn(4) ? mutate(random, [text, ...seeds.slice(0, 20)]) : text;
}

function readAndSplice(sql: Buffer, dialect: StatementDialect): unknown {
  const reading = readStatement(sql, dialect);
  if (reading.is === 'unplaced') {
    assert(reading.at >= 0 && reading.at <= sql.length, 'reading ended outside of the text');
    return reading;
  }
  const replacements = [
    ...reading.objects.flatMap(({ name, nameSpan }) => (nameSpan === null ? [] : [{ name, span: nameSpan }])),
    ...(reading.databases ?? []),
  ];
  for (const { span } of replacements) assert(isInside(span, sql), 'a name lies outside of the text');
  const again = readStatement(spliceNames(sql, replacements, dialect), dialect);
  assert(meaning(again) === meaning(reading), `read otherwise with its names quoted: ${meaning(again)}`);
  return reading;
}

function isInside({ start, end }: Span, sql: Buffer): boolean {
  return start >= 0 && start < end && end <= sql.length;
}

/** All but the places. */
function meaning(reading: StatementReading): string {
  return JSON.stringify(reading, (key, value) => (/span$/i.test(key) || key === 'at' ? undefined : value));
}
