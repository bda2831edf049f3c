/**
 * Are source and target equal? CHECKSUM TABLE and the number of rows of every table of the bench, and gtid_executed where the
 * target keeps the source's GTIDs. A run that ends unequal is no result: it fails the bench.
 */
import { executedSet } from '../support/equality.ts';
import type { TestServer } from '../support/test-server.ts';
import { BENCH_SCHEMA } from './workload.ts';

export interface TableContent {
  readonly rows: number;
  readonly checksum: string;
}

export type TableContents = Readonly<Record<string, TableContent>>;

export class UnequalError extends Error {}

export async function readTables(server: TestServer): Promise<TableContents> {
  const contents: Record<string, TableContent> = {};
  const tables = await server.query(
    `SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA='${BENCH_SCHEMA}' ORDER BY 1`,
  );
  for (const { name } of tables) {
    const table = `${BENCH_SCHEMA}.\`${name}\``;
    const [count] = await server.query(`SELECT COUNT(*) AS n FROM ${table}`);
    const [sum] = await server.query(`CHECKSUM TABLE ${table}`);
    contents[name] = { rows: Number(count?.n), checksum: String(sum?.Checksum) };
  }
  return contents;
}

/** `gtids`: what the target's gtid_executed must be; null: it keeps its own. @throws UnequalError with every difference. */
export async function requireEqual(
  expected: TableContents,
  target: TestServer,
  gtids: string | null,
): Promise<void> {
  const found = await readTables(target);
  const differences: string[] = [];
  for (const name of new Set([...Object.keys(expected), ...Object.keys(found)])) {
    const [mine, theirs] = [expected[name], found[name]];
    if (mine?.rows === theirs?.rows && mine?.checksum === theirs?.checksum) continue;
    differences.push(`${name}: ${contentText(mine)} on the source, ${contentText(theirs)} on the target`);
  }
  const executed = gtids === null ? null : await executedSet(target);
  if (executed !== gtids)
    differences.push(`gtid_executed: ${gtids} on the source, ${executed} on the target`);
  if (differences.length > 0)
    throw new UnequalError(`source and target differ:\n  ${differences.join('\n  ')}`);
}

function contentText(content: TableContent | undefined): string {
  return content === undefined ? 'missing' : `${content.rows} rows with checksum ${content.checksum}`;
}
